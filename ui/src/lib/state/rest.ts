/**
 * A page keeps what it has held in its process's memory, whatever it forgets, for as long as that process lives. So once
 * something has died in it, the page is replaced as soon as nobody would notice: while the window is hidden, or nobody
 * has been at it for a while, and nothing would be lost.
 */
import * as commands from '../backend/commands';
import { chats } from './chats.svelte';
import { dialogs } from './dialogs.svelte';

/** So long the window is hidden first. */
const HIDDEN_MS = 5_000;
/** Or so long nobody has been at it. */
const IDLE_MS = 300_000;

export class Rest {
  #isDue = false;
  #touchedAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Something has died that this page may have held. */
  note(): void {
    this.#isDue = true;
    this.#wait();
  }

  /** Somebody is at it. */
  touch(now: number): void {
    this.#touchedAt = now;
  }

  /** Follows the page's visibility until the answer is called. */
  attach(page: Document = document): () => void {
    const turn = () => this.#wait();
    page.addEventListener('visibilitychange', turn);
    return () => {
      page.removeEventListener('visibilitychange', turn);
      this.#isDue = false;
      clearTimeout(this.#timer);
    };
  }

  #wait(): void {
    clearTimeout(this.#timer);
    if (!this.#isDue) return;
    const left = document.hidden ? HIDDEN_MS : Math.max(HIDDEN_MS, this.#idleLeft());
    this.#timer = setTimeout(() => this.#rest(), left);
  }

  #idleLeft(): number {
    return this.#touchedAt + IDLE_MS - performance.now();
  }

  #rest(): void {
    if (isBusy() || (!document.hidden && this.#idleLeft() > 0)) {
      this.#wait();
      return;
    }
    this.#isDue = false;
    // A page that could not be replaced is, with the next death.
    commands.rest(chats.open?.id ?? null).catch(() => undefined);
  }
}

/** Whether something would be lost that stands nowhere but in this page. */
function isBusy(): boolean {
  return dialogs.open > 0 || chats.timers.size > 0 || chats.editing.size > 0 || chats.hasUnsaved;
}

export const rest = new Rest();
