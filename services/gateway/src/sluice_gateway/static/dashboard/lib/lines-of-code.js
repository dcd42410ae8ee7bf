/** The same as commands for a terminal. */

/** @param {string} text In a POSIX shell, as one word. */
export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** @param {string} origin @param {Record<string, unknown>} request */
export function curlLine(origin, request) {
  return `curl ${origin}/v1/runs -H 'content-type: application/json' -d ${quoted(JSON.stringify(request))}`;
}

/** @param {Record<string, unknown>} request */
export function kcatLine(request) {
  return `echo ${quoted(JSON.stringify(request))} | kcat -P -b localhost:9092 -t sluice.requests`;
}

/** @param {string} origin @param {string} id @param {string} command @param {Record<string, unknown>} body */
export function curlCommand(origin, id, command, body) {
  const data = Object.keys(body).length ? ` -H 'content-type: application/json' -d ${quoted(JSON.stringify(body))}` : '';
  return `curl -X POST ${origin}/v1/runs/${encodeURIComponent(id)}/${command}${data}`;
}
