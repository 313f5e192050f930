/** What happy-dom lacks and every test needs. */
import { cleanup } from '@testing-library/svelte';
import { afterEach, beforeEach } from 'vitest';
import { uninstall } from './lib/backend/fake';

/** Every observer that was made, so that a test can bring things into sight. */
export const sightObservers: FakeSight[] = [];

export class FakeSight {
  readonly targets = new Set<Element>();
  readonly #callback: IntersectionObserverCallback;

  constructor(callback: IntersectionObserverCallback) {
    this.#callback = callback;
    sightObservers.push(this);
  }

  observe(target: Element): void {
    this.targets.add(target);
  }

  unobserve(target: Element): void {
    this.targets.delete(target);
  }

  disconnect(): void {
    this.targets.clear();
  }

  takeRecords(): IntersectionObserverEntry[] {
    return [];
  }

  /** Shows every watched element wholly, or not at all. */
  show(isIntersecting: boolean): void {
    const ratio = isIntersecting ? 1 : 0;
    const entries = [...this.targets].map((target) => ({
      target,
      isIntersecting,
      intersectionRatio: ratio,
      intersectionRect: { height: 0 },
      rootBounds: { height: 600 },
    }));
    this.#callback(entries as unknown as IntersectionObserverEntry[], this as unknown as IntersectionObserver);
  }
}

/** Tells each element a size as soon as it is watched: the list has room for ten rows. */
class FakeSize {
  readonly #callback: ResizeObserverCallback;

  constructor(callback: ResizeObserverCallback) {
    this.#callback = callback;
  }

  observe(target: Element): void {
    const contentRect = { width: 400, height: target.getAttribute('role') === 'list' ? 600 : 60 };
    const entries = [{ target, contentRect }] as unknown as ResizeObserverEntry[];
    queueMicrotask(() => this.#callback(entries, this));
  }

  unobserve(): void {
    // Sizes never change here.
  }

  disconnect(): void {
    // Sizes never change here.
  }
}

beforeEach(() => {
  sightObservers.length = 0;
  Object.assign(globalThis, { IntersectionObserver: FakeSight, ResizeObserver: FakeSize });
  Object.assign(document.defaultView ?? {}, { ResizeObserver: FakeSize });
  Object.defineProperty(HTMLElement.prototype, 'offsetParent', { configurable: true, get: () => document.body });
  // The list measures its room; nothing has a size here, so everything gets one.
  for (const [name, size] of [['offsetHeight', 600], ['clientHeight', 600], ['offsetWidth', 400], ['clientWidth', 400]] as const) {
    Object.defineProperty(HTMLElement.prototype, name, { configurable: true, get: () => size });
  }
});

afterEach(() => {
  cleanup();
  uninstall();
});
