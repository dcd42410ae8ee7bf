/** Splits text that comes in pieces into lines. */
export class Lines {
  #rest = '';

  /**
   * @param {string} piece
   * @returns {string[]} The lines that are complete with it, without empty ones.
   */
  push(piece) {
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.filter((line) => line !== '');
  }
}
