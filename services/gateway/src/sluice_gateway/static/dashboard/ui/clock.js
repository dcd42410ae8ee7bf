/** The time of this page, which ticks once a second while the page can be seen. */
import { signal } from './html.js';

export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);
