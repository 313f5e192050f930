/** The keys that work everywhere, whatever has the focus. */

const isMac = /Mac/.test(navigator.userAgent);

/** As they are named to the person. */
export const LOCK_KEYS = isMac ? '⌘ L' : 'Ctrl L';
export const PANIC_KEYS = isMac ? '⌘ Shift ⌫' : 'Ctrl Shift Backspace';

const hasCommand = (event: KeyboardEvent) => (isMac ? event.metaKey : event.ctrlKey) && !event.altKey;

export const isLock = (event: KeyboardEvent) => hasCommand(event) && !event.shiftKey && event.key.toLowerCase() === 'l';

/** A key that is held down repeats itself, and means it once. */
export const isPanic = (event: KeyboardEvent) =>
  hasCommand(event) && event.shiftKey && event.key === 'Backspace' && !event.repeat;
