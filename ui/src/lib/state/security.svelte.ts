/** What opens the profile, what locks it, and the acts upon that. */
import * as commands from '../backend/commands';
import type { Security as View } from '../backend/commands';
import { BackendError } from '../backend/error';
import { Answers } from './answers';
import { chats } from './chats.svelte';
import { session } from './session.svelte';

/** The window says at most this often that somebody is at it. */
const TOUCH_MS = 5_000;

export class Security {
  view = $state.raw<View | null>(null);
  /** Which way the dialog is open: as a whole, or because locking takes a passphrase first. */
  dialog = $state<'whole' | 'to_lock' | null>(null);
  #touchedAt = -TOUCH_MS;
  #answers = new Answers();

  /** Forgets everything, as a window does that closes. */
  reset(): void {
    this.#answers.end();
    this.view = null;
    this.dialog = null;
    this.#touchedAt = -TOUCH_MS;
  }

  /** Does one of the acts and shows what holds afterwards. Throws a `BackendError` that its place shows. */
  async change(act: () => Promise<View>): Promise<void> {
    await this.#answers.take(act(), (view) => {
      this.view = view;
      if (session.profile) session.profile = { ...session.profile, has_passphrase: view.has_passphrase };
    });
  }

  /** Locks the window; without a passphrase, leads to where one is set. */
  async lock(): Promise<void> {
    if (session.stage !== 'open') return;
    try {
      await chats.saveDrafts();
      await session.lock();
    } catch (cause) {
      if (BackendError.from(cause).code === 'passphrase_unset') this.dialog = 'to_lock';
    }
  }

  /** Somebody is at it. */
  touch(now: number): void {
    if (document.hidden || now - this.#touchedAt < TOUCH_MS) return;
    this.#touchedAt = now;
    // The next key tells it again.
    commands.active().catch(() => undefined);
  }
}

export const security = new Security();
