/** A long list of rows of one height, of which only those that can be seen are in the page. */
import { html, useEffect, useLayoutEffect, useRef, useState } from './html.js';

const BEYOND = 8;

/**
 * @param {{
 *   rows: readonly unknown[], height: number, label: string, header?: unknown, total?: number,
 *   render: (row: any, index: number) => unknown, keyOf: (row: any) => string,
 *   onNearEnd?: () => void, empty?: unknown,
 *   isTable?: boolean,
 * }} props `total`: how many rows there are, also those that are not here yet. `isTable`: rows have the
 *   role `row`, under a `header`; else they are what is in a list.
 */
export function VirtualList({ rows, height, label, header, total, render, keyOf, onNearEnd, empty, isTable = false }) {
  const scroller = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [view, setView] = useState({ top: 0, height: 600 });
  useLayoutEffect(() => {
    const element = /** @type {HTMLDivElement} */ (scroller.current);
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, []);
  const first = Math.max(0, Math.floor(view.top / height) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / height) + BEYOND);
  const isNearEnd = last >= rows.length - BEYOND;
  useEffect(() => { if (isNearEnd) onNearEnd?.(); }, [isNearEnd, rows.length, onNearEnd]);
  return html`<div class="list" role=${isTable ? 'table' : undefined} aria-label=${isTable ? label : undefined} aria-rowcount=${isTable ? (total ?? rows.length) : undefined}>
    ${header}
    <div class="list-rows" role=${isTable ? 'rowgroup' : 'group'} ref=${scroller} tabindex="0" aria-label=${label}>
      ${rows.length === 0 ? empty : null}
      <div class="list-space" role=${isTable ? 'presentation' : 'list'} style=${{ height: `${rows.length * height}px` }}>
        ${rows.slice(first, last).map((row, at) => html`<div key=${keyOf(row)} role=${isTable ? 'presentation' : 'listitem'} class="list-place"
            style=${{ transform: `translateY(${(first + at) * height}px)`, height: `${height}px` }}>${render(row, first + at)}</div>`)}
      </div>
    </div>
  </div>`;
}
