// The command line. ./ramet makes the machine ready and then comes here. Each command is loaded only when it is asked for,
// so that a call of the API does not wait for the server's code.
import { explain } from './explain.ts'

type Command = (args: string[]) => Promise<number | void>

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('@ramet/server/main.ts')).serve,
  demo: async () => (await import('@ramet/e2e/demo.ts')).demo,
  bench: async () => (await import('@ramet/e2e/bench/main.ts')).bench,
  deploy: async () => (await import('./deploy/deploy.ts')).deploy,
  doctor: async () => (await import('@ramet/server/doctor/main.ts')).doctor,
  test: async () => (await import('./testing/run-tests.ts')).runTests,
  help: async () => (await import('./help.ts')).help,
}

async function main([name = 'help', ...args]: string[]): Promise<number> {
  const own = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (own) return (await (await own())(args)) ?? 0
  if (/^-{0,2}h(elp)?$/.test(name)) return (await import('./help.ts')).help()
  if (/^-{1,2}v(ersion)?$|^version$/i.test(name)) return (await import('./help.ts')).version()
  return (await import('./call.ts')).callApi([name, ...args])
}

/** Older versions fail at the first import of a package's TypeScript, with an error that helps nobody. */
function requireNode24(): void {
  const [major] = process.versions.node.split('.')
  if (Number(major) >= 24) return
  process.stderr.write(
    `Ramet needs Node 24, and this is ${process.versions.node}. Start it by ./ramet, which brings its own\n`,
  )
  process.exit(1)
}

requireNode24()
try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${explain(error)}\n`)
  process.exitCode = 1
}
