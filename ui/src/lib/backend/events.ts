import type { Event } from './bindings/Event';
import * as bridge from './bridge';
import { BackendError } from './error';

/** The window fell behind and lost events: everything it shows must be asked for again. */
export type Resync = { event: 'resync' };

/** What the shell tells the window, in the order in which it was committed. */
export type Told = Event | Resync;

/** Calls `heard` for each event from now on, until the window closes. */
export async function watch(heard: (told: Told) => void): Promise<void> {
  try {
    await bridge.watch(heard);
  } catch (cause) {
    throw BackendError.from(cause);
  }
}
