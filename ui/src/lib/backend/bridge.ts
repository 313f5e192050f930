/**
 * The bridge to the shell, sealed at both ends (docs/bridge.md): what crosses it is copied by the web engine's own
 * memory, which nobody wipes. The one place that speaks to Tauri.
 */
import { Channel, invoke } from '@tauri-apps/api/core';
import type { Told } from './events';

/** What carries commands and events. Pictures and tests put a stand-in for the shell in its place. */
export interface Transport {
  call(command: string, args: Record<string, unknown>): Promise<unknown>;
  watch(heard: (told: Told) => void): Promise<void>;
}

interface Keys {
  readonly toProgram: CryptoKey;
  readonly toPage: CryptoKey;
}

const NONCE_BYTES = 12;
const curve = { name: 'ECDH', namedCurve: 'P-256' };
const utf8 = new TextEncoder();
const text = new TextDecoder();

const join = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));

/** Agrees on keys that live as long as this page. */
async function greet(): Promise<Keys> {
  const { subtle } = crypto;
  const own = await subtle.generateKey(curve, false, ['deriveBits']);
  const page = new Uint8Array(await subtle.exportKey('raw', own.publicKey));
  const program = new Uint8Array(await invoke<ArrayBuffer>('greet', page));
  const theirs = await subtle.importKey('raw', program, curve, false, []);
  const secret = await subtle.deriveBits({ name: 'ECDH', public: theirs }, own.privateKey, 256);
  const root = await subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey']);
  const key = (label: string, usage: KeyUsage) => {
    const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: join(utf8.encode(label), page, program) };
    return subtle.deriveKey(hkdf, root, { name: 'AES-GCM', length: 256 }, false, [usage]);
  };
  const [toProgram, toPage] = await Promise.all([
    key('mayfly/v1/bridge to program', 'encrypt'),
    key('mayfly/v1/bridge to page', 'decrypt'),
  ]);
  return { toProgram, toPage };
}

async function seal(key: CryptoKey, value: unknown): Promise<Uint8Array> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const plain = utf8.encode(JSON.stringify(value));
  const sealed = new Uint8Array(NONCE_BYTES + plain.length + 16);
  sealed.set(iv);
  sealed.set(new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, plain)), NONCE_BYTES);
  return sealed;
}

async function open(key: CryptoKey, sealed: ArrayBuffer): Promise<unknown> {
  const iv = new Uint8Array(sealed, 0, NONCE_BYTES);
  const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, new Uint8Array(sealed, NONCE_BYTES));
  return JSON.parse(text.decode(plain));
}

/** The real one. */
export class SealedTransport implements Transport {
  #keys: Promise<Keys> | undefined;

  async call(command: string, args: Record<string, unknown>): Promise<unknown> {
    const keys = await (this.#keys ??= greet());
    const sealed = await invoke<ArrayBuffer>('call', await seal(keys.toProgram, { command, args }));
    const answer = (await open(keys.toPage, sealed)) as { ok: unknown } | { error: unknown };
    // The shell's errors are plain objects, not instances of Error.
    if ('error' in answer) throw answer.error;
    return answer.ok;
  }

  async watch(heard: (told: Told) => void): Promise<void> {
    const keys = await (this.#keys ??= greet());
    const channel = new Channel<ArrayBuffer>();
    let before = Promise.resolve();
    channel.onmessage = (sealed) => {
      // One after the other: opening takes no time, but not always the same.
      before = before.then(() => open(keys.toPage, sealed)).then((told) => heard(told as Told));
    };
    await invoke('watch', { channel });
  }
}

let transport: Transport = new SealedTransport();

/** Puts another in its place. */
export function useTransport(other: Transport): void {
  transport = other;
}

export const call = (command: string, args: Record<string, unknown>) => transport.call(command, args);
export const watch = (heard: (told: Told) => void) => transport.watch(heard);
