/** Whether a profile is open, and how it stands with its relays. */
import type { ProfileView } from '../backend/bindings/ProfileView';
import type { StatusView } from '../backend/bindings/StatusView';
import * as commands from '../backend/commands';
import { BackendError } from '../backend/error';

/** Where the window is on its way to the chats. */
export type Stage = 'starting' | 'none' | 'locked' | 'open' | 'destroyed' | 'failed';

export class Session {
  stage = $state<Stage>('starting');
  profile = $state.raw<ProfileView | null>(null);
  status = $state.raw<StatusView | null>(null);
  /** Why the profile could not be opened. */
  failure = $state.raw<BackendError | null>(null);

  /** Forgets everything, as a window does that closes. */
  reset(): void {
    this.stage = 'starting';
    this.profile = null;
    this.status = null;
    this.failure = null;
  }

  /** Asks the backend how things stand, and opens what needs no passphrase. */
  async start(): Promise<void> {
    this.stage = 'starting';
    this.failure = null;
    try {
      const { state } = await commands.profileState();
      if (state === 'open') await this.#enter(await commands.profile());
      else this.stage = state;
    } catch (cause) {
      this.failure = BackendError.from(cause);
      this.stage = this.failure.code === 'profile_destroyed' ? 'destroyed' : 'failed';
    }
  }

  /** Throws a `BackendError` that the form shows. */
  async create(name: string, passphrase: string): Promise<void> {
    await this.#enter(await commands.createProfile(name.trim(), passphrase === '' ? null : passphrase));
  }

  /** Throws a `BackendError` that the form shows. */
  async unlock(passphrase: string): Promise<void> {
    await this.#enter(await commands.unlock(passphrase));
  }

  /** Locks the profile. Throws without a passphrase. */
  async lock(): Promise<void> {
    await commands.lock();
    await this.#begin();
  }

  /** Destroys the profile for good. */
  async panic(): Promise<void> {
    // The keys go first; a window that is not renewed shows the first start all the same.
    await commands.panic().finally(() => void this.#begin());
  }

  /** The profile is gone, and somebody should know before a new one begins. */
  destroyed(): void {
    this.reset();
    this.stage = 'destroyed';
  }

  /** Throws a `BackendError` that the form shows. */
  async setRelays(relays: string[]): Promise<void> {
    this.profile = await commands.setRelays(relays);
  }

  /** Asks again for the connection; events keep it current afterwards. */
  async refreshStatus(): Promise<void> {
    this.status = await commands.status();
  }

  /** What the shell does by renewing the page, for a page that it cannot renew. */
  async #begin(): Promise<void> {
    this.reset();
    await this.start();
  }

  async #enter(profile: ProfileView): Promise<void> {
    this.profile = profile;
    this.stage = 'open';
    await this.refreshStatus().catch(() => undefined);
  }
}

export const session = new Session();
