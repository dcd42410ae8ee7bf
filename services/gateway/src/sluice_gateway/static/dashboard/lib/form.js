/**
 * Fields of a form, from the JSON Schema of parameters or of an answer.
 *
 * @typedef {{
 *   name: string, kind: 'line' | 'text' | 'number' | 'yes-no' | 'choice' | 'json', isRequired: boolean,
 *   default: unknown, description: string, choices: string[], min?: number, max?: number, isWhole: boolean, longest?: number,
 * }} Field
 */

const LONG = 256;

/** @param {any} schema @returns {Field[]} */
export function fieldsOf(schema) {
  const required = new Set(schema?.required ?? []);
  return Object.entries(schema?.properties ?? {}).map(([name, given]) => {
    const property = resolved(given, schema);
    return {
      name,
      kind: kindOf(property),
      isRequired: required.has(name),
      default: property.default,
      description: property.description ?? '',
      choices: (property.enum ?? []).map(String),
      min: property.minimum,
      max: property.maximum,
      isWhole: property.type === 'integer',
      longest: property.maxLength,
    };
  });
}

function resolved(property, schema) {
  const name = /^#\/\$defs\/(.+)$/.exec(property.$ref ?? '')?.[1];
  return name ? { ...schema.$defs?.[name], ...property } : property;
}

function kindOf({ type, enum: choices, maxLength }) {
  if (choices) return 'choice';
  if (type === 'boolean') return 'yes-no';
  if (type === 'integer' || type === 'number') return 'number';
  if (type === 'string') return maxLength === undefined || maxLength > LONG ? 'text' : 'line';
  return 'json';
}

/**
 * @param {Field} field
 * @param {string | boolean | undefined} given What is in the form.
 * @returns {unknown} The value to send; undefined if there is none, so that the default counts.
 * @throws {SyntaxError} What should be JSON is not.
 */
export function valueOf(field, given) {
  if (field.kind === 'yes-no') return Boolean(given);
  if (given === undefined || (given === '' && field.kind !== 'line' && field.kind !== 'text')) return undefined;
  if (given === '' && field.default === undefined) return undefined;
  if (field.kind === 'number') {
    const number = Number(given);
    // The gateway says what is wrong with what is not a number.
    return Number.isFinite(number) ? number : given;
  }
  return field.kind === 'json' ? JSON.parse(String(given)) : given;
}

/**
 * What the gateway would refuse, as far as the schema says it in simple words.
 *
 * @param {Field} field @param {unknown} value
 */
function faultOf({ kind, isRequired, isWhole, min, max, longest, choices }, value) {
  if (value === undefined || (value === '' && kind !== 'line' && kind !== 'text')) return isRequired ? 'This is required.' : null;
  if (kind === 'number') {
    if (typeof value !== 'number') return 'This must be a number.';
    if (isWhole && !Number.isInteger(value)) return 'This must be a whole number.';
    if (min !== undefined && value < min) return `This must be at least ${min}.`;
    if (max !== undefined && value > max) return `This must be at most ${max}.`;
  }
  if (kind === 'choice' && !choices.includes(String(value))) return 'Choose one of the list.';
  if (longest !== undefined && typeof value === 'string' && [...value].length > longest) return `This has more than ${longest} characters.`;
  return null;
}

/**
 * @param {Field[]} fields
 * @param {Record<string, string | boolean | undefined>} given
 * @returns {{values: Record<string, unknown>, errors: Map<string, string>}}
 */
export function valuesOf(fields, given) {
  /** @type {Record<string, unknown>} */
  const values = {};
  const errors = new Map();
  for (const field of fields) {
    try {
      const value = valueOf(field, given[field.name]);
      if (value !== undefined) values[field.name] = value;
      const wrong = faultOf(field, value);
      if (wrong) errors.set(field.name, wrong);
    } catch {
      errors.set(field.name, 'This is not JSON.');
    }
  }
  return { values, errors };
}

/** @param {Field[]} fields @returns {Record<string, string | boolean>} What the form begins with. */
export function begin(fields) {
  return Object.fromEntries(fields.map(({ name, kind, default: value }) => {
    if (kind === 'yes-no') return [name, Boolean(value)];
    if (value === undefined || value === null) return [name, ''];
    return [name, kind === 'json' ? JSON.stringify(value, null, 2) : String(value)];
  }));
}
