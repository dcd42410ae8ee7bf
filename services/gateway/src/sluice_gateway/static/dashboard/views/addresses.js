/** The addresses of pages. */

/** @param {{id: string, tenant: string}} run */
export function runAddress({ id, tenant }) {
  return `/runs/${encodeURIComponent(id)}${tenant === 'default' ? '' : `?tenant=${encodeURIComponent(tenant)}`}`;
}

/** @param {{path: string, search: string}} address @returns {{id: string, tenant: string} | null} */
export function runOf({ path, search }) {
  const match = /^\/runs\/([^/]+)$/.exec(path);
  if (!match) return null;
  try {
    return { id: decodeURIComponent(match[1]), tenant: new URLSearchParams(search).get('tenant') ?? 'default' };
  } catch {
    return null; // It was never encoded.
  }
}
