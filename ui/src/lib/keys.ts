/** The keys that work everywhere, whatever has the focus. */

const isMac = /Mac/.test(navigator.userAgent);

/** As they are named to the person. */
export const LOCK_KEYS = isMac ? '⌘ L' : 'Ctrl L';
export const PANIC_KEYS = isMac ? '⌘ Shift ⌫' : 'Ctrl Shift Backspace';

const hasCommand = (event: KeyboardEvent) => (isMac ? event.metaKey : event.ctrlKey) && !event.altKey;

/** Where the keyboard writes no Latin letters, the key at the place of L is meant. */
const isL = ({ key, code }: KeyboardEvent) => key.toLowerCase() === 'l' || (code === 'KeyL' && !/^[a-z]$/i.test(key));

export const isLock = (event: KeyboardEvent) => hasCommand(event) && !event.shiftKey && isL(event);

/** A key that is held down repeats itself, and means it once. */
export const isPanic = (event: KeyboardEvent) =>
  hasCommand(event) && event.shiftKey && event.key === 'Backspace' && !event.repeat;
