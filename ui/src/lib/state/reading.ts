/**
 * When a received message counts as read: it has stood in the visible part of the list for one second, without
 * a break, while the window was in front and had the focus. Several that become read together are told together.
 */

const READ_AFTER_MS = 1000;
/** Those that become read within this of each other go in one call. */
const TOGETHER_MS = 60;

export class Reading {
  #isAttentive = false;
  /** Visible unread messages, and since when they are visible to an attentive reader. */
  #since = new Map<string, number | null>();
  #told = new Set<string>();
  #visible = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #onread: (ids: string[]) => Promise<void>;

  /** `onread` tells the backend; when it fails, the same messages count anew. */
  constructor(onread: (ids: string[]) => Promise<void>) {
    this.#onread = onread;
  }

  /** The window is in front, has the focus, and nothing covers the conversation. */
  setAttentive(isAttentive: boolean): void {
    if (isAttentive === this.#isAttentive) return;
    this.#isAttentive = isAttentive;
    const since = isAttentive ? Date.now() : null;
    for (const id of this.#since.keys()) this.#since.set(id, since);
    this.#plan();
  }

  /** An unread message came into sight, or left it. */
  setVisible(id: string, isVisible: boolean): void {
    if (!isVisible) {
      this.#visible.delete(id);
      this.#since.delete(id);
      this.#plan();
      return;
    }
    this.#visible.add(id);
    if (!this.#since.has(id) && !this.#told.has(id)) {
      this.#since.set(id, this.#isAttentive ? Date.now() : null);
    }
    this.#plan();
  }

  /** Nothing is visible any more: the chat was left. */
  stop(): void {
    this.#visible.clear();
    this.#since.clear();
    this.#plan();
  }

  #plan(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const starts = [...this.#since.values()].filter((since) => since !== null);
    if (starts.length === 0) return;
    const due = Math.min(...starts) + READ_AFTER_MS;
    this.#timer = setTimeout(() => this.#tell(), Math.max(0, due - Date.now()) + TOGETHER_MS);
  }

  #tell(): void {
    const now = Date.now();
    const ids = [...this.#since].filter(([, since]) => since !== null && now - since >= READ_AFTER_MS).map(([id]) => id);
    for (const id of ids) {
      this.#since.delete(id);
      this.#told.add(id);
    }
    this.#plan();
    if (ids.length === 0) return;
    this.#onread(ids).catch(() => {
      for (const id of ids) {
        this.#told.delete(id);
        if (this.#visible.has(id)) this.setVisible(id, true);
      }
    });
  }
}
