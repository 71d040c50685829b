import { readPayment } from '../boostagram/readPayment.js';
import { foldForMatch } from './foldForMatch.js';
import type { IncomingKeysend } from './incomingKeysend.js';

/** What a payment says, as the rules look at it. */
export interface PaymentWords {
  /** Characters of all its messages; 0 where nothing can be seen of them. */
  readonly messageLength: number;
  /** What the sender calls itself, folded. */
  readonly senderName: string;
  /** Messages and sender, folded. */
  readonly said: string;
  /** Everything that a page would show, folded. */
  readonly shown: string;
}

export function paymentWords({ records }: IncomingKeysend): PaymentWords {
  const text = readPayment(records);
  const messages = text.message === undefined ? [] : [text.message, ...text.otherMessages];
  const message = foldForMatch(messages.join('\n'));
  const senderName = foldForMatch(text.senderName ?? '').trim();
  const said = `${message}\n${senderName}\n${foldForMatch(text.senderId ?? '')}`;
  const others = [text.appName, text.podcast, text.episode, text.recipientName].filter(
    (part) => part !== undefined,
  );
  return {
    messageLength: message.trim() === '' ? 0 : messages.reduce((sum, each) => sum + [...each].length, 0),
    senderName,
    said,
    shown: `${said}\n${foldForMatch(others.join('\n'))}`,
  };
}
