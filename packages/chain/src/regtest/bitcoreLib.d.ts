/** What Rivulet uses of bitcore-lib, which ships no types. */
declare module 'bitcore-lib' {
  interface ScriptChunk {
    opcodenum: number;
    buf?: Buffer;
    len?: number;
  }
  class Script {
    chunks: ScriptChunk[];
    static fromBuffer(bytes: Buffer): Script;
    static Interpreter: typeof Interpreter;
    toBuffer(): Buffer;
    set(fields: { chunks: ScriptChunk[] }): this;
    isPushOnly(): boolean;
    isScriptHashOut(): boolean;
    isWitnessProgram(values: { version?: number; program?: Buffer }): boolean;
  }
  interface ExecutionData {
    annexPresent?: boolean;
    annexInit?: boolean;
    annexHash?: Buffer;
    tapleafHash?: Buffer;
    tapleafHashInit?: boolean;
    validationWeightLeft?: number;
    validationWeightLeftInit?: boolean;
    /** A number, or bitcore's BN of 0xffffffff before any OP_CODESEPARATOR. */
    codeseparatorPos?: number | { toString(): string };
  }
  /** What the interpreter asks of the transaction. */
  interface InterpretedTransaction {
    version: number;
    nLockTime: number;
    inputs: readonly { sequenceNumber: number; isFinal(): boolean }[];
    checkSchnorrSignature(
      signature: Buffer,
      publicKey: Buffer,
      index: number,
      version: number,
      data: ExecutionData,
    ): boolean;
  }
  interface InterpreterState {
    script?: Script;
    tx?: InterpretedTransaction;
    nin?: number;
    stack?: Buffer[];
    sigversion?: number;
    satoshis?: number;
    flags?: number;
  }
  class Interpreter {
    script: Script;
    stack: Buffer[];
    pc: number;
    pbegincodehash: number;
    nOpCount: number;
    vfExec: boolean[];
    sigversion: number;
    flags: number;
    errstr: string;
    static castToBool(item: Buffer): boolean;
    initialize(): void;
    set(state: InterpreterState): void;
    evaluate(): boolean;
    step(): boolean;
    executeWitnessScript(
      script: Script,
      stack: Buffer[],
      version: number,
      satoshis: number,
      flags: number,
      data?: ExecutionData,
    ): boolean;
    checkSignatureEncoding(signature: Buffer): boolean;
    checkPubkeyEncoding(publicKey: Buffer): boolean;
    checkSchnorrSignature(
      signature: Buffer,
      publicKey: Buffer,
      version: number,
      data: ExecutionData,
    ): boolean;
    _evalChecksigPreTapscript(signature: Buffer, publicKey: Buffer): { success: boolean; result: boolean };
  }
  const bitcore: { Script: typeof Script };

  export type { ExecutionData, InterpretedTransaction };
  // biome-ignore lint/style/noDefaultExport: the module is CommonJS and exports one object
  export default bitcore;
}
