import { Channel, invoke } from '@tauri-apps/api/core';
import type { Event } from './bindings/Event';
import { BackendError } from './error';

/** The window fell behind and lost events: everything it shows must be asked for again. */
export type Resync = { event: 'resync' };

/** What the shell tells the window, in the order in which it was committed. */
export type Told = Event | Resync;

/** Calls `heard` for each event from now on, until the window closes. */
export async function watch(heard: (told: Told) => void): Promise<void> {
  const channel = new Channel<Told>();
  channel.onmessage = heard;
  try {
    await invoke('watch', { channel });
  } catch (cause) {
    throw BackendError.from(cause);
  }
}
