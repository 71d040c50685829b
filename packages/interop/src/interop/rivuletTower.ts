import { chainFlags, type RivuletDaemonOptions } from './rivuletDaemon.js';
import { type ProgramRun, startRivuletProgram } from './rivuletProgram.js';

interface Ready {
  readonly towerId: string;
  readonly host: string;
  readonly port: number;
}

/** A watchtower in a process of its own, as its operators run it: `rivulet tower`. */
export class RivuletTower {
  readonly #options: Pick<RivuletDaemonOptions, 'dataDir' | 'rpc'>;
  #run: ProgramRun | undefined;
  #ready: Ready = { towerId: '', host: '', port: 0 };

  private constructor(options: Pick<RivuletDaemonOptions, 'dataDir' | 'rpc'>) {
    this.#options = options;
  }

  static async start(options: Pick<RivuletDaemonOptions, 'dataDir' | 'rpc'>): Promise<RivuletTower> {
    const tower = new RivuletTower(options);
    await tower.start();
    return tower;
  }

  get towerId(): string {
    return this.#ready.towerId;
  }

  /** As its users add it. */
  get uri(): string {
    const { towerId, host, port } = this.#ready;
    return `${host}:${port}/${towerId}`;
  }

  /** Again on the same port. */
  async start(): Promise<void> {
    const { dataDir, rpc } = this.#options;
    const listen = `127.0.0.1:${this.#ready.port}`;
    const args = ['tower', '--data-dir', dataDir, '--listen', listen, ...chainFlags(rpc)];
    this.#run = startRivuletProgram(args);
    this.#ready = (await this.#run.firstLine) as Ready;
  }

  async stop({ crash = false }: { crash?: boolean } = {}): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    run?.kill(crash ? 'SIGKILL' : 'SIGTERM');
    await run?.exited;
  }
}
