/**
 * Where the nodes of a graph are drawn: layers from left to right, without overlaps.
 *
 * Layers are longest paths; the order within a layer comes from sweeps by barycentre (Sugiyama,
 * Tagawa, Toda 1981), and the places from least squares under that order. The same graph always
 * gets the same picture.
 */

/**
 * @typedef {{id: string, width: number, height: number}} Box
 * @typedef {{x: number, y: number, width: number, height: number}} Place The left upper corner.
 * @typedef {{places: Map<string, Place>, width: number, height: number}} Layout
 */

const SWEEPS = 4;

/**
 * @param {readonly Box[]} boxes
 * @param {readonly (readonly [string, string])[]} edges From and to; a cycle loses an edge.
 * @param {{across?: number, between?: number}} [gaps] Between layers, and within one, in pixels.
 * @returns {Layout}
 */
export function layOut(boxes, edges, { across = 56, between = 16 } = {}) {
  const index = new Map(boxes.map((box, at) => [box.id, at]));
  const links = [];
  for (const [from, to] of edges) {
    const a = index.get(from);
    const b = index.get(to);
    if (a !== undefined && b !== undefined && a !== b) links.push([a, b]);
  }
  const { depth, forward } = depths(boxes.length, links);
  const layers = layersOf(depth);
  const before = neighbours(boxes.length, forward, 1, 0);
  const after = neighbours(boxes.length, forward, 0, 1);
  order(layers, before, after);
  const y = rows(layers, boxes, before, after, between);
  return place(layers, boxes, y, across);
}

/** The longest path to each node, and the edges that do not close a cycle. */
function depths(count, links) {
  const out = neighbours(count, links, 0, 1);
  const forward = withoutCycles(count, out);
  const missing = new Int32Array(count);
  for (const [, to] of forward) missing[to] += 1;
  const next = neighbours(count, forward, 0, 1);
  const depth = new Int32Array(count);
  const ready = [];
  for (let node = 0; node < count; node += 1) if (missing[node] === 0) ready.push(node);
  for (let at = 0; at < ready.length; at += 1) {
    for (const to of next[ready[at]]) {
      depth[to] = Math.max(depth[to], depth[ready[at]] + 1);
      missing[to] -= 1;
      if (missing[to] === 0) ready.push(to);
    }
  }
  return { depth, forward };
}

/** The edges but for those that lead back, found depth first without recursion. */
function withoutCycles(count, out) {
  const state = new Uint8Array(count); // 1: on the path, 2: done
  const kept = [];
  for (let root = 0; root < count; root += 1) {
    if (state[root]) continue;
    state[root] = 1;
    const path = [[root, 0]];
    while (path.length) {
      const top = path[path.length - 1];
      const [node, at] = top;
      if (at === out[node].length) {
        state[node] = 2;
        path.pop();
        continue;
      }
      top[1] += 1;
      const to = out[node][at];
      if (state[to] === 1) continue;
      kept.push([node, to]);
      if (state[to] === 0) {
        state[to] = 1;
        path.push([to, 0]);
      }
    }
  }
  return kept;
}

function neighbours(count, links, from, to) {
  /** @type {number[][]} */
  const found = Array.from({ length: count }, () => []);
  for (const link of links) found[link[from]].push(link[to]);
  return found;
}

function layersOf(depth) {
  /** @type {number[][]} */
  const layers = [];
  depth.forEach((layer, node) => {
    while (layers.length <= layer) layers.push([]);
    layers[layer].push(node);
  });
  return layers;
}

/** Sort each layer by where its neighbours are, forth and back. */
function order(layers, before, after) {
  const rank = [];
  const note = (layer) => layer.forEach((node, at) => (rank[node] = at / layer.length));
  layers.forEach(note);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forth = sweep % 2 === 0;
    const beside = forth ? before : after;
    for (const layer of forth ? layers : [...layers].reverse()) {
      const wanted = new Map(layer.map((node) => [node, mean(beside[node], rank) ?? rank[node]]));
      layer.sort((a, b) => wanted.get(a) - wanted.get(b) || rank[a] - rank[b]);
      note(layer);
    }
  }
}

function mean(nodes, values) {
  if (!nodes.length) return null;
  let sum = 0;
  for (const node of nodes) sum += values[node];
  return sum / nodes.length;
}

/** The upper edge of each node: as near to its neighbours' middles as the order allows. */
function rows(layers, boxes, before, after, between) {
  const middle = new Float64Array(boxes.length);
  for (const layer of layers) spread(layer, layer.map(() => 0), boxes, between, middle);
  for (const [forth, beside] of [[true, before], [false, after], [true, before]]) {
    for (const layer of forth ? layers : [...layers].reverse()) {
      const wanted = layer.map((node) => mean(beside[node], middle) ?? middle[node]);
      spread(layer, wanted, boxes, between, middle);
    }
  }
  return middle.map((value, node) => value - boxes[node].height / 2);
}

/**
 * Set the middles of a layer: least squares to `wanted` while the nodes keep their order and gaps.
 * That is isotonic regression, by pooling adjacent violators.
 */
function spread(layer, wanted, boxes, between, middle) {
  const offsets = [];
  let offset = 0;
  layer.forEach((node, at) => {
    if (at > 0) offset += (boxes[layer[at - 1]].height + boxes[node].height) / 2 + between;
    offsets.push(offset);
  });
  /** @type {{sum: number, count: number}[]} */
  const pools = [];
  layer.forEach((_, at) => {
    let pool = { sum: wanted[at] - offsets[at], count: 1 };
    while (pools.length) {
      const last = pools[pools.length - 1];
      if (last.sum / last.count < pool.sum / pool.count) break;
      pools.pop();
      pool = { sum: last.sum + pool.sum, count: last.count + pool.count };
    }
    pools.push(pool);
  });
  let at = 0;
  for (const { sum, count } of pools) {
    for (let end = at + count; at < end; at += 1) middle[layer[at]] = sum / count + offsets[at];
  }
}

function place(layers, boxes, y, across) {
  const top = y.length ? y.reduce((least, each) => Math.min(least, each)) : 0;
  const places = new Map();
  let [x, height] = [0, 0];
  for (const layer of layers) {
    const width = layer.reduce((most, node) => Math.max(most, boxes[node].width), 0);
    for (const node of layer) {
      const box = boxes[node];
      places.set(box.id, { x, y: y[node] - top, width: box.width, height: box.height });
      height = Math.max(height, y[node] - top + box.height);
    }
    x += width + across;
  }
  return { places, width: Math.max(0, x - across), height };
}
