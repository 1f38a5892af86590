// Taplo's language server for the tests: one JSON message in each line of standard input and output.
// Its place is the folder into which npm has put @taplo/lsp; the first argument names it.
const { createRequire } = require("node:module")
const fs = require("node:fs")
const path = require("node:path")
const readline = require("node:readline")
const { fileURLToPath } = require("node:url")

const { TaploLsp } = createRequire(path.join(process.argv[2], "index.js"))("@taplo/lsp")

const environment = {
  now: () => new Date(),
  envVar: name => process.env[name],
  envVars: () => Object.entries(process.env),
  stdErrAtty: () => false,
  stdin: process.stdin,
  stdout: process.stderr,
  stderr: process.stderr,
  glob: () => [],
  readFile: file => fs.promises.readFile(file),
  writeFile: (file, bytes) => fs.promises.writeFile(file, bytes),
  urlToFilePath: url => fileURLToPath(url),
  isAbsolute: file => path.isAbsolute(file),
  cwd: () => process.cwd(),
  findConfigFile: () => undefined,
  fetch: { fetch, Headers, Request, Response },
}

TaploLsp.initialize(environment, { onMessage: message => process.stdout.write(`${JSON.stringify(message)}\n`) }).then(server => {
  readline.createInterface({ input: process.stdin }).on("line", line => server.send(JSON.parse(line)))
})
