/** What opens the profile, what locks it, and the acts upon that. */
import * as commands from '../backend/commands';
import type { Security as View } from '../backend/commands';

/** The window says at most this often that somebody is at it. */
const TOUCH_MS = 5_000;

export class Security {
  view = $state.raw<View | null>(null);
  #touchedAt = -TOUCH_MS;

  /** Forgets everything, as a window does that closes. */
  reset(): void {
    this.view = null;
    this.#touchedAt = -TOUCH_MS;
  }

  async load(): Promise<void> {
    this.view = await commands.security();
  }

  /** Does one of the acts and shows what holds afterwards. Throws a `BackendError` that its place shows. */
  async change(act: () => Promise<View>): Promise<void> {
    this.view = await act();
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
