/**
 * The graph that a run page draws: one node for each step of the plan, with all its copies.
 *
 * Containers (Steps, DAG) are not drawn: their steps stand for them. Copies of a step, as in
 * `count(0)` to `count(199)`, are one node. Without a plan, the graph comes from the steps.
 *
 * @typedef {import('./run-state.js').Step} Step
 * @typedef {import('./run-state.js').Group} Group
 * @typedef {{
 *   id: string, name: string, template?: string | null, kind?: string | null, depends_on?: string[],
 *   boundary?: string | null, repeated?: boolean, conditional?: boolean, exit_handler?: boolean,
 * }} PlannedStep
 * @typedef {{
 *   id: string, label: string, within: string, kind: string | null, repeated: boolean,
 *   conditional: boolean, exitHandler: boolean, steps: Step[], count: number,
 * }} GraphNode `within` is the path of what contains it; `steps` are its copies, in order.
 * @typedef {{nodes: Map<string, GraphNode>, edges: [string, string][], nodeOf: (step: Step) => string | undefined}} Graph
 */
import { millis } from './format.js';

const CONTAINERS = new Set(['Steps', 'StepGroup', 'DAG', 'TaskGroup']);

/** @param {string} name */
export function baseName(name) {
  const bracket = name.indexOf('(');
  return bracket > 0 ? name.slice(0, bracket) : name;
}

/**
 * @param {readonly PlannedStep[] | null} planned
 * @param {Iterable<Step>} steps
 * @param {Iterable<Group>} groups
 * @returns {Graph}
 */
export function graphOf(planned, steps, groups) {
  const all = [...steps];
  return filled(planned?.length ? fromPlan(planned, all) : fromSteps(all, [...groups]), all);
}

/**
 * Change the nodes in place: new ones for each of many steps keep the garbage collector busy.
 *
 * @param {Graph} graph
 * @param {Iterable<Step>} steps Those that it was made from, as they are now.
 * @returns {Graph}
 */
export function filled({ nodes, edges, nodeOf }, steps) {
  for (const node of nodes.values()) node.count = 0;
  for (const step of steps) {
    const node = nodes.get(nodeOf(step) ?? '');
    if (node) node.steps[node.count++] = step;
  }
  return { nodes, edges, nodeOf };
}

function fromPlan(planned, steps) {
  const byId = new Map(planned.map((each) => [each.id, each]));
  const inside = groupBy(planned, (each) => each.boundary ?? '');
  const nodes = new Map();
  for (const each of planned) {
    if (inside.has(each.id)) continue;
    nodes.set(each.id, {
      id: each.id,
      label: each.name,
      within: each.boundary ?? '',
      kind: each.kind ?? null,
      repeated: Boolean(each.repeated),
      conditional: Boolean(each.conditional),
      exitHandler: Boolean(each.exit_handler),
      steps: [],
      count: 0,
    });
  }
  const first = memoized((id) => ends(id, (each) => !(each.depends_on ?? []).length));
  const waitedFor = new Set(planned.flatMap((each) => each.depends_on ?? []));
  const last = memoized((id) => ends(id, (each) => !waitedFor.has(each.id)));
  /** The drawn steps at one end of a container; a step that is drawn is its own end. */
  function ends(id, isEnd) {
    const within = inside.get(id);
    if (!within) return [id];
    const of = isEnd === undefined ? within : within.filter(isEnd);
    return of.flatMap((each) => (inside.has(each.id) ? ends(each.id, isEnd) : [each.id]));
  }
  const edges = [];
  for (const each of planned) {
    for (const before of each.depends_on ?? []) {
      if (!byId.has(before)) continue;
      for (const from of last(before)) for (const to of first(each.id)) edges.push([from, to]);
    }
  }
  // An exit handler follows all that stands at the top.
  const top = [...new Set((inside.get('') ?? []).filter((each) => !each.exit_handler && !waitedFor.has(each.id)).flatMap((each) => last(each.id)))];
  for (const each of planned) {
    if (!each.exit_handler || each.boundary) continue;
    for (const to of first(each.id)) for (const from of top) edges.push([from, to]);
  }
  return { nodes, edges, nodeOf: matching(planned, inside, steps) };
}

/** Find the planned step of each step: the same name, in what belongs to the same planned step. */
function matching(planned, inside, steps) {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const names = new Map(planned.map((each) => [`${each.boundary ?? ''}\n${each.name}`, each.id]));
  const only = planned.length === 1 ? planned[0].id : null;
  const known = new Map();
  function find(step) {
    if (known.has(step.id)) return known.get(step.id);
    known.set(step.id, null); // A boundary that leads back to itself has no place.
    const around = step.boundary ? byId.get(step.boundary) : undefined;
    const within = around ? find(around) : null;
    const names_ = [baseName(step.name)];
    if (!within) names_.push(names_[0].slice(names_[0].lastIndexOf('.') + 1));
    let found = null;
    for (const name of names_) found ??= names.get(`${within ?? ''}\n${name}`) ?? null;
    if (!found && only && !step.boundary) found = only;
    known.set(step.id, found);
    return found;
  }
  return find;
}

function fromSteps(steps, groups) {
  const byId = new Map([...groups, ...steps].map((each) => [each.id, each]));
  const containers = new Set(steps.flatMap((step) => (step.boundary ? [step.boundary] : [])));
  for (const group of groups) containers.add(group.id);
  const isAround = ({ id, type }) => containers.has(id) || CONTAINERS.has(type ?? '');
  const pathOf = memoized((id) => {
    const step = byId.get(id);
    const around = step?.boundary && step.boundary !== id ? `${pathOf(step.boundary)}/` : '';
    return around + (step ? baseName(step.name) : id);
  });
  const nodes = new Map();
  for (const step of steps) {
    if (isAround(step)) continue;
    const id = pathOf(step.id);
    const node = nodes.get(id);
    if (node) {
      node.repeated = true;
      continue;
    }
    nodes.set(id, {
      id,
      label: baseName(step.name),
      within: step.boundary ? pathOf(step.boundary) : '',
      kind: step.type ?? null,
      repeated: step.name.includes('('),
      conditional: false,
      exitHandler: false,
      steps: [],
      count: 0,
    });
  }
  const nodeOf = (step) => (isAround(step) ? undefined : pathOf(step.id));
  return { nodes, edges: followed(byId, nodes, containers, pathOf, steps), nodeOf };
}

/** The edges between drawn nodes, past the containers and groups between them. */
function followed(byId, nodes, containers, pathOf, steps) {
  const drawn = (id) => byId.has(id) && !containers.has(id) && nodes.has(pathOf(id));
  const reached = new Map();
  function next(id, seen) {
    if (reached.has(id)) return reached.get(id);
    if (seen.has(id)) return [];
    seen.add(id);
    const found = new Set();
    for (const child of byId.get(id)?.children ?? []) {
      if (drawn(child)) found.add(pathOf(child));
      else for (const each of next(child, seen)) found.add(each);
    }
    const list = [...found];
    reached.set(id, list);
    return list;
  }
  const edges = new Map();
  for (const step of steps) {
    if (!drawn(step.id)) continue;
    const from = pathOf(step.id);
    for (const to of next(step.id, new Set())) {
      if (to !== from) edges.set(`${from}\n${to}`, [from, to]);
    }
  }
  return [...edges.values()];
}

function memoized(make) {
  const known = new Map();
  return (key) => {
    if (!known.has(key)) {
      known.set(key, []);
      known.set(key, make(key));
    }
    return known.get(key);
  };
}

function groupBy(all, keyOf) {
  const groups = new Map();
  for (const each of all) {
    const key = keyOf(each);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(each);
  }
  return groups;
}

const ORDER = ['Failed', 'Error', 'Running', 'Suspended', 'Pending', 'Succeeded', 'Skipped', 'Omitted'];

/**
 * @param {GraphNode} node
 * @returns {{phase: string, counts: Map<string, number>}} What the node shows of all its copies.
 */
export function summary(node) {
  const counts = new Map();
  for (const step of node.steps) {
    const phase = isWaiting(step) ? 'Suspended' : step.phase;
    counts.set(phase, (counts.get(phase) ?? 0) + 1);
  }
  const phase = ORDER.find((each) => counts.has(each)) ?? 'Planned';
  return { phase, counts };
}

/** @param {Step} step */
export function isWaiting(step) {
  return step.type === 'Suspend' && step.phase === 'Running';
}

/** @param {GraphNode} node @returns {[number, number]} When its first copy began and its last one ended; what has not is `Infinity`. */
export function extent({ steps }) {
  let [from, to] = [Infinity, -Infinity];
  for (const { started_at, finished_at } of steps) {
    from = Math.min(from, millis(started_at) ?? Infinity);
    to = Math.max(to, millis(finished_at) ?? Infinity);
  }
  return [from, to];
}

/**
 * The nodes that the end waited for: from the last one to end, always to the last of those before it.
 *
 * @param {Graph} graph @returns {Set<string>}
 */
export function criticalPath({ nodes, edges }) {
  const before = groupBy(edges, ([, to]) => to);
  const lastOf = (ids) => {
    let [last, latest] = [undefined, -Infinity];
    for (const id of ids) {
      const [from, to] = extent(/** @type {GraphNode} */ (nodes.get(id)));
      if (from < Infinity && to >= latest) [last, latest] = [id, to];
    }
    return last;
  };
  const path = new Set();
  let id = lastOf(nodes.keys());
  while (id !== undefined && !path.has(id)) {
    path.add(id);
    id = lastOf((before.get(id) ?? []).map(([from]) => from));
  }
  return path;
}
