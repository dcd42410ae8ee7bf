/** What components are written with: HTML in template strings, hooks, and signals. */
import { h } from '../vendor/preact.js';
import htm from '../vendor/htm.js';

/** @template T @typedef {import('../vendor/signals.js').Signal<T>} Signal */

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(h);
export { Fragment, render } from '../vendor/preact.js';
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../vendor/hooks.js';
export { batch, computed, effect, signal, useComputed, useSignal } from '../vendor/signals.js';
