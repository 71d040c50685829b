import { Agent, request as httpRequest } from 'node:http';
import { request as httpsRequest, Agent as TlsAgent } from 'node:https';
import { bytesToHex, equalBytes, hexToBytes } from '@rivulet/core/bytes';
import {
  type Appointment,
  type AppointmentReceipt,
  appointmentMessage,
  appointmentReceiptMessage,
  getAppointmentMessage,
  type RegistrationReceipt,
  recoverMessageKey,
  registrationReceiptMessage,
  signMessage,
  type TowerUser,
} from '@rivulet/core/tower';
import { z } from 'zod';
import type { Scheduler } from '../../peers/index.js';
import { TowerError } from '../towerError.js';

/** An error of the protocol, with the tower's own words. */
export class TowerAnswerError extends TowerError {
  readonly status: number;
  readonly errorCode: number;

  constructor({ status, errorCode, text }: { status: number; errorCode: number; text: string }) {
    super('tower_refused', `the tower refused: ${text} (error ${errorCode})`);
    this.status = status;
    this.errorCode = errorCode;
  }
}

/** What shows, to anybody, that a tower signed what it should not have, or with another key. */
export interface MisbehaviourProof {
  readonly what: string;
  /** The bytes that are signed, hex. */
  readonly messageHex: string;
  readonly signature: string;
  /** Whose signature it is; absent where it is none. */
  readonly signerHex?: string | undefined;
  readonly atMs: number;
}

export class TowerMisbehaviour extends TowerError {
  readonly proof: Omit<MisbehaviourProof, 'atMs'>;

  constructor(proof: Omit<MisbehaviourProof, 'atMs'>) {
    super('tower_misbehaved', `the tower misbehaved: ${proof.what}`);
    this.proof = proof;
  }
}

const u32 = z.int().min(0).max(0xffff_ffff);
const registerAnswer = z.object({
  available_slots: u32,
  subscription_start: u32,
  subscription_expiry: u32,
  subscription_signature: z.string().max(200),
});
const addAnswer = z.object({
  start_block: u32,
  signature: z.string().max(200),
  available_slots: u32,
  subscription_expiry: u32,
});
const hexText = z.string().regex(/^(?:[0-9a-f]{2})*$/);
const getAnswer = z.object({
  status: z.string(),
  appointment: z.object({ encrypted_blob: hexText.optional(), to_self_delay: u32.optional() }),
});
const errorAnswer = z.object({ error: z.string(), error_code: z.int().min(0).max(255) });

/** What a tower gave for an appointment. */
export interface Delivered {
  readonly receipt: AppointmentReceipt;
  /** The tower's, of the receipt. */
  readonly signature: string;
  readonly availableSlots: number;
  readonly subscriptionExpiry: number;
}

const maxAnswerBytes = 64 * 1024;

/** The HTTP side of one tower: every answer is bounded, and every receipt is checked. */
export class TowerConnection {
  readonly #url: URL;
  readonly #towerId: Uint8Array;
  readonly #scheduler: Scheduler;
  readonly #timeoutMs: number;
  readonly #agent: Agent;

  constructor(options: { url: string; towerId: string; scheduler: Scheduler; timeoutMs: number }) {
    this.#url = new URL(options.url);
    this.#towerId = hexToBytes(options.towerId);
    this.#scheduler = options.scheduler;
    this.#timeoutMs = options.timeoutMs;
    const settings = { keepAlive: true, maxSockets: 8 };
    this.#agent = this.#url.protocol === 'https:' ? new TlsAgent(settings) : new Agent(settings);
  }

  close(): void {
    this.#agent.destroy();
  }

  /** @throws TowerError */
  async register({ userId }: TowerUser): Promise<RegistrationReceipt> {
    const answer = await this.#post('/register', { user_id: bytesToHex(userId) }, registerAnswer);
    const receipt: RegistrationReceipt = {
      userId,
      availableSlots: answer.available_slots,
      subscriptionStart: answer.subscription_start,
      subscriptionExpiry: answer.subscription_expiry,
    };
    this.#check('a registration was not signed by the tower', {
      message: registrationReceiptMessage(receipt),
      signature: answer.subscription_signature,
    });
    return receipt;
  }

  /** @throws TowerError */
  async addAppointment(user: TowerUser, appointment: Appointment): Promise<Delivered> {
    const userSignature = signMessage(appointmentMessage(appointment), user.privateKey);
    const answer = await this.#post(
      '/add_appointment',
      {
        appointment: {
          locator: bytesToHex(appointment.locator),
          encrypted_blob: bytesToHex(appointment.encryptedBlob),
          to_self_delay: appointment.toSelfDelay,
        },
        signature: userSignature,
      },
      addAnswer,
    );
    const receipt = { userSignature, startBlock: answer.start_block };
    const { signature } = answer;
    this.#check('the receipt of an appointment was not signed by the tower', {
      message: appointmentReceiptMessage(receipt),
      signature,
    });
    return {
      receipt,
      signature,
      availableSlots: answer.available_slots,
      subscriptionExpiry: answer.subscription_expiry,
    };
  }

  /**
   * Whether the tower still has the appointment that was signed so: not only does it say that, but it shows the very
   * bytes. What it has answered already has become something else. @throws TowerError
   */
  async hasAppointment(
    user: TowerUser,
    { locator, userSignature }: { locator: Uint8Array; userSignature: string },
  ): Promise<boolean> {
    const signature = signMessage(getAppointmentMessage(locator), user.privateKey);
    try {
      const body = { locator: bytesToHex(locator), signature };
      const { status, appointment } = await this.#post('/get_appointment', body, getAnswer);
      if (status === 'dispute_responded') return true;
      const { encrypted_blob: blobHex = '', to_self_delay: toSelfDelay = 0 } = appointment;
      const shown = { locator, encryptedBlob: hexToBytes(blobHex), toSelfDelay };
      const signer = recoverMessageKey(appointmentMessage(shown), userSignature);
      return signer !== undefined && equalBytes(signer, user.userId);
    } catch (error) {
      if (error instanceof TowerAnswerError && error.status === 404 && error.errorCode === 36) return false;
      throw error;
    }
  }

  #check(what: string, { message, signature }: { message: Uint8Array; signature: string }): void {
    const signer = recoverMessageKey(message, signature);
    if (signer !== undefined && equalBytes(signer, this.#towerId)) return;
    const signerHex = signer === undefined ? undefined : bytesToHex(signer);
    throw new TowerMisbehaviour({ what, messageHex: bytesToHex(message), signature, signerHex });
  }

  async #post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const { status, text } = await this.#exchange(path, JSON.stringify(body));
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new TowerError('tower_unreachable', `the tower answered ${path} with no JSON (status ${status})`);
    }
    if (status === 200) {
      const answer = schema.safeParse(value);
      if (answer.success) return answer.data;
      throw new TowerError(
        'tower_unreachable',
        `the tower answered ${path} with something else than expected`,
      );
    }
    const error = errorAnswer.safeParse(value);
    if (!error.success) {
      throw new TowerError('tower_unreachable', `the tower answered ${path} with status ${status}`);
    }
    throw new TowerAnswerError({
      status,
      errorCode: error.data.error_code,
      text: error.data.error.slice(0, 200).replace(/[^\x20-\x7e]/g, '?'),
    });
  }

  #exchange(path: string, body: string): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const failed = (why: string, cause?: unknown) =>
        reject(new TowerError('tower_unreachable', `the tower does not answer: ${why}`, { cause }));
      const send = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
      const request = send(new URL(path, this.#url), {
        method: 'POST',
        agent: this.#agent,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      });
      const cancel = this.#scheduler.schedule(this.#timeoutMs, () => {
        request.destroy();
        failed(`nothing came in ${this.#timeoutMs} ms`);
      });
      request.once('close', cancel);
      request.once('error', (error) => failed((error as NodeJS.ErrnoException).code ?? error.message, error));
      request.once('response', (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length <= maxAnswerBytes) chunks.push(chunk);
          else request.destroy(new Error('its answer is too long'));
        });
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
        response.once('error', (error) => failed(error.message, error));
      });
      request.end(body);
    });
  }
}
