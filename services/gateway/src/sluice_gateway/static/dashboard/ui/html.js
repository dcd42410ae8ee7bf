/** What components are written with: HTML in template strings, hooks, signals, and the time. */
import { h } from '../vendor/preact.js';
import { useEffect, useRef } from '../vendor/hooks.js';
import { signal } from '../vendor/signals.js';
import htm from '../vendor/htm.js';

/** @template T @typedef {import('../vendor/signals.js').Signal<T>} Signal */

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(h);
export { render } from '../vendor/preact.js';
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from '../vendor/hooks.js';
export { batch, computed, signal } from '../vendor/signals.js';

const EVERY = 4000;

/** The time of this page, which ticks once a second while the page can be seen. */
export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);

/**
 * Read something at once, and again every four seconds while the page can be seen.
 *
 * @param {() => Promise<void>} read It handles its own failures.
 * @param {readonly unknown[]} of What it reads; a change is read at once.
 */
export function useReading(read, of = []) {
  const latest = useRef(read);
  latest.current = read;
  useEffect(() => {
    let isReading = false;
    const next = async () => {
      if (isReading) return;
      isReading = true;
      await latest.current();
      isReading = false;
    };
    next();
    const timer = setInterval(() => { if (!document.hidden) next(); }, EVERY);
    return () => clearInterval(timer);
  }, of);
}

/** @param {string} text */
export function useTitle(text) {
  useEffect(() => { document.title = `${text} · Sluice`; }, [text]);
}

/** @param {Event} event @returns {string} What is in the field that the event comes from. */
export const typed = (event) => /** @type {HTMLInputElement} */ (event.target).value;
