// Reads an AsyncAPI document with AsyncAPI's own parser: node check.js FILE
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const WARNING = 1;
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const found = diagnostics.filter(({ severity }) => severity <= WARNING);
for (const { path, message } of found) console.log(`${path.join("/")}: ${message}`);
process.exit(document && found.length === 0 ? 0 : 1);
