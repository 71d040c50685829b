import { LdkError } from '../ldk/ldkError.js';
import type { ChaosChildOptions } from './chaosChildProtocol.js';
import { ChaosProcess } from './chaosProcess.js';
import type { StorageFault } from './faultyStorage.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Between two tries to start; a chain that is away is no reason to give up. */
const startAgainMs = 1_000;
const maxStarts = 90;

interface ChaosNodeEvents {
  /** For the log of what happened. */
  note(what: string): void;
  /** Something that must not be. */
  unexpected(what: string): void;
}

/** A node over all its lives: the same folder, seed and port, in one process after the other. */
export class ChaosNode {
  readonly name: string;
  nodeId = '';
  port = 0;
  /** By chaos itself, by storage faults, and by owners whose disk failed. */
  deaths = 0;
  storageFaults = 0;
  failedStarts = 0;
  /** Of lives that are over. */
  cpuMs = 0;
  peakRssBytes = 0;
  readonly #options: Omit<ChaosChildOptions, 'aheadMs' | 'port'>;
  readonly #events: ChaosNodeEvents;
  readonly #held = new Map<string, () => void>();
  readonly #heldHashes = new Set<string>();
  #aheadMs = 0;
  #process: ChaosProcess | undefined;
  #lastCpuMs = 0;
  #isUp = false;
  #waiting: (() => void)[] = [];
  #downMs = 0;
  #stopping = false;
  #gone = false;
  #diskFailed = false;
  #life: Promise<void> | undefined;

  constructor(given: {
    name: string;
    options: Omit<ChaosChildOptions, 'aheadMs' | 'port'>;
    events: ChaosNodeEvents;
  }) {
    this.name = given.name;
    this.#options = given.options;
    this.#events = given.events;
  }

  /** Runs the node from now on, again and again; resolves when it is up for the first time. */
  async start(): Promise<void> {
    this.#stopping = false;
    this.#life = this.#live();
    await this.up();
  }

  /** Resolves when the node answers; at once where it does. */
  up(): Promise<void> {
    if (this.#isUp || this.#gone) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** It will not come back. */
  get isGone(): boolean {
    return this.#gone || this.#stopping;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** @throws LdkError `ldk_not_running`, `ldk_process`; what the node answers. */
  async call<T>(body: (process: ChaosProcess) => Promise<T>): Promise<T> {
    if (this.#process === undefined || !this.#isUp) {
      throw new LdkError('ldk_not_running', `${this.name} does not run`);
    }
    return body(this.#process);
  }

  kill(downMs: number): void {
    this.#downMs = downMs;
    if (this.#process?.isAlive !== true) return;
    this.#process.kill();
  }

  /** Stops in order, and starts again. */
  async restart(downMs: number): Promise<void> {
    this.#downMs = downMs;
    if (!this.#isUp || this.#process === undefined) return;
    this.#isUp = false;
    if (!(await this.#process.halt())) this.#events.unexpected(`${this.name} did not stop within 10 s`);
  }

  async arm(fault: StorageFault | undefined, downMs: number): Promise<void> {
    this.#downMs = downMs;
    await this.call((process) => process.call('arm', fault)).catch(() => {});
  }

  async setClock(aheadMs: number): Promise<void> {
    this.#aheadMs = aheadMs;
    await this.call((process) => process.call('setClock', aheadMs)).catch(() => {});
  }

  /** Whether a hold invoice was paid in full within that time, as far as anybody was told. */
  held(paymentHash: string, withinMs: number): Promise<boolean> {
    if (this.#heldHashes.has(paymentHash)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#held.delete(paymentHash);
        resolve(false);
      }, withinMs);
      this.#held.set(paymentHash, () => {
        clearTimeout(timer);
        this.#held.delete(paymentHash);
        resolve(true);
      });
    });
  }

  /** For good. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#process?.halt();
    await this.#life;
  }

  /** What the running process used so far. */
  sawUsage({ cpuMs, rssBytes }: { cpuMs: number; rssBytes: number }): void {
    this.#lastCpuMs = cpuMs;
    this.peakRssBytes = Math.max(this.peakRssBytes, rssBytes);
  }

  get totalCpuMs(): number {
    return this.cpuMs + this.#lastCpuMs;
  }

  async #live(): Promise<void> {
    let failures = 0;
    while (!this.#stopping) {
      const process = new ChaosProcess((name, value) => {
        if (name === 'held') this.#wasHeld(value as string);
        else void this.#storageFault(value as StorageFault);
      });
      this.#process = process;
      this.#diskFailed = false;
      try {
        const started = await process.start({ ...this.#options, port: this.port, aheadMs: this.#aheadMs });
        this.nodeId = started.nodeId;
        this.port = started.port;
        failures = 0;
        this.#isUp = true;
        for (const resolve of this.#waiting.splice(0)) resolve();
      } catch (error) {
        process.kill();
        const { signal } = await process.exited;
        if (signal !== 'SIGKILL' || !String(error).includes('the process of a node ended')) {
          this.failedStarts++;
          failures++;
          this.#events.note(`${this.name} did not start: ${String(error)}`);
        }
      }
      const { code, signal, printed } = await process.exited;
      this.#isUp = false;
      this.cpuMs += this.#lastCpuMs;
      this.#lastCpuMs = 0;
      if (signal !== 'SIGKILL' && code !== 0 && !this.#diskFailed) {
        this.#events.unexpected(`${this.name} ended by itself (${signal ?? code}): ${printed}`);
      }
      if (signal === 'SIGKILL') {
        this.deaths++;
        this.#events.note(`${this.name} is dead`);
      }
      if (failures >= maxStarts) {
        this.#events.unexpected(`${this.name} does not start any more`);
        this.#gone = true;
        for (const resolve of this.#waiting.splice(0)) resolve();
        return;
      }
      if (!this.#stopping) await pause(failures > 0 ? startAgainMs : this.#downMs);
      this.#downMs = 0;
    }
  }

  #wasHeld(paymentHash: string): void {
    this.#heldHashes.add(paymentHash);
    this.#held.get(paymentHash)?.();
  }

  /** Its disk failed: its owner sees that, and starts it again. */
  async #storageFault(fault: StorageFault): Promise<void> {
    this.storageFaults++;
    this.#events.note(`${this.name}: ${JSON.stringify(fault)} has struck`);
    if (fault.kind !== 'io') return;
    this.#diskFailed = true;
    await pause(500);
    this.#process?.kill();
  }
}
