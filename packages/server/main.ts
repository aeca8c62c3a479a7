// The server's process: read the configuration, take the data directory, build, listen; and the way down again.
import { mkdir, realpath } from 'node:fs/promises'
import process from 'node:process'
import { asProblem } from '@ramet/core/problem.ts'
import cookie from '@fastify/cookie'
import helmet from '@fastify/helmet'
import fastify, { type FastifyInstance } from 'fastify'
import { openDoor } from './api/door.ts'
import { openDocs } from './api/pages/docs.ts'
import { openDownloads } from './api/pages/downloads.ts'
import { openEvents } from './api/pages/events.ts'
import { openHealth } from './api/pages/health.ts'
import type { App } from './app.ts'
import { readAdminFile, writeAdminFile } from './bootstrap.ts'
import { build } from './build.ts'
import { type Config, readConfig } from './config.ts'
import { createLog } from './log.ts'
import { lockDataDirectory } from './postgres/lock-data-directory.ts'

/** `ramet serve`: runs until SIGTERM or SIGINT; machines run on. Whatever keeps it from starting is told as a sentence. */
export async function serve(args: readonly string[]): Promise<void> {
  await run(args).catch(error => {
    throw asProblem(error)
  })
}

async function run(args: readonly string[]): Promise<void> {
  const config = await prepare(readConfig(args, process.env))
  const log = createLog(config.logLevel)
  const lock = await lockDataDirectory(config.dataDir)
  const server = await build(config, log)
  const http = await openHttp(server.app)
  await http.listen(config.listen)
  const { port } = http.addresses()[0] as { port: number }
  const url = `http://${config.listen.host}:${port}`
  server.app.address.url = url
  await tellAdmin(config, url)
  process.stdout.write(`ready ${url}\n`)

  const broken = Promise.race([server.broken, lock.lost.then(() => 'the lock on the data directory is lost')])
  const reason = await Promise.race([signalled(), broken.then(fail)])
  log.info({ reason }, 'stopping')
  await http.close()
  await server.close()
  await lock.release()
}

async function prepare(config: Config): Promise<Config> {
  await mkdir(config.dataDir, { recursive: true, mode: 0o711 })
  return { ...config, dataDir: await realpath(config.dataDir) }
}

async function openHttp(app: App): Promise<FastifyInstance> {
  const http = fastify({ bodyLimit: 2 ** 21, forceCloseConnections: true, logger: false })
  await http.register(cookie)
  await http.register(helmet, {
    contentSecurityPolicy: {
      directives: { defaultSrc: ["'self'"], styleSrc: ["'self'", "'unsafe-inline'"], upgradeInsecureRequests: null },
    },
  })
  http.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_, body, done) =>
    done(null, body),
  )
  openDoor(http, app)
  openDocs(http, app)
  openDownloads(http, app)
  openEvents(http, app)
  openHealth(http, app)
  return http
}

/** The address may change from start to start; whoever reads admin.json finds the present one. */
async function tellAdmin(config: Config, url: string): Promise<void> {
  const admin = await readAdminFile(config.dataDir)
  if (admin && admin.url !== url) await writeAdminFile(config.dataDir, { ...admin, url })
}

function fail(reason: string): string {
  process.exitCode = 1
  return reason
}

function signalled(): Promise<string> {
  return new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
}

if (import.meta.main) {
  serve(process.argv.slice(2)).catch(error => {
    process.stderr.write(`${asProblem(error).message}\n`)
    process.exit(1)
  })
}
