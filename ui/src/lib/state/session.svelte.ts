/** Whether a profile is open, and how it stands with its relays. */
import type { ProfileView } from '../backend/bindings/ProfileView';
import type { StatusView } from '../backend/bindings/StatusView';
import * as commands from '../backend/commands';
import { BackendError } from '../backend/error';
import { Answers } from './answers';

/** Where the window is on its way to the chats. */
export type Stage = 'starting' | 'none' | 'locked' | 'open' | 'destroyed' | 'undestroyed' | 'failed';

export class Session {
  stage = $state<Stage>('starting');
  profile = $state.raw<ProfileView | null>(null);
  status = $state.raw<StatusView | null>(null);
  /** Why the profile could not be opened, or not be destroyed. */
  failure = $state.raw<BackendError | null>(null);
  #answers = new Answers();

  /** Forgets everything, as a window does that closes. */
  reset(): void {
    this.#answers.end();
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

  /** Locks the profile. Throws `passphrase_unset` where nothing would open it again: it stays open. */
  async lock(): Promise<void> {
    try {
      await commands.lock();
    } catch (cause) {
      const error = BackendError.from(cause);
      if (error.code === 'passphrase_unset') throw error;
    }
    // Whatever else went wrong, the window is covered; how things stand is the backend's to say.
    await this.#begin();
  }

  /** Destroys the profile for good. A failure is the whole window's to tell: nothing of the profile is in it any more. */
  async panic(): Promise<void> {
    try {
      await commands.panic();
    } catch (cause) {
      this.reset();
      this.failure = BackendError.from(cause);
      this.stage = 'undestroyed';
      return;
    }
    await this.#begin();
  }

  /** The profile is gone, and somebody should know before a new one begins. */
  destroyed(): void {
    this.reset();
    this.stage = 'destroyed';
  }

  /** Throws a `BackendError` that the form shows. */
  async setRelays(relays: string[]): Promise<void> {
    await this.#answers.take(commands.setRelays(relays), (profile) => (this.profile = profile));
  }

  /** Asks again for the connection; events keep it current afterwards. */
  async refreshStatus(): Promise<void> {
    await this.#answers.take(commands.status(), (status) => (this.status = status));
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
