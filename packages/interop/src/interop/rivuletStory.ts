import type { NodeEvent } from '@rivulet/sdk';
import type { ChangeSource } from './waitUntil.js';

const logLinesKept = 400;

/** What a Rivulet under test told, over all its lives. */
export class RivuletStory implements ChangeSource {
  readonly events: NodeEvent[] = [];
  readonly #logLines: string[] = [];
  readonly #listeners = new Set<() => void>();

  get logLines(): string[] {
    return this.#logLines;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  protected tell(event: NodeEvent): void {
    this.events.push(event);
    this.touch();
  }

  protected touch(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  protected addLogLine(line: string): void {
    this.#logLines.push(line.trimEnd());
    if (this.#logLines.length > logLinesKept * 2) this.#logLines.splice(0, logLinesKept);
  }
}
