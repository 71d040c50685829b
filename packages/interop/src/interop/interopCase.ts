import { type InteropChannelType, Rig } from './rig.js';

/** Something that Rivulet and LDK do together. */
export interface InteropCase {
  readonly name: string;
  /** Both by default. */
  readonly channelTypes?: readonly InteropChannelType[];
  run(rig: Rig): Promise<void>;
}

/** Runs a case on a chain of its own. @throws what went wrong. */
export async function runInteropCase(each: InteropCase, channelType: InteropChannelType): Promise<void> {
  const rig = await Rig.create(channelType);
  try {
    await each.run(rig);
  } catch (error) {
    const story = await rig.story();
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Error(message.includes('  Rivulet:') ? message : `${message}\n${story}`, { cause: error });
  } finally {
    await rig.stop();
  }
}
