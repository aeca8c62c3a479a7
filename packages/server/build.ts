// The one place where the server's parts are made and joined. Each is closed in the opposite order.
import { join } from 'node:path'
import type { VmId } from '@ramet/core/ids.ts'
import type { App } from './app.ts'
import { bootstrap } from './bootstrap.ts'
import type { Config } from './config.ts'
import type { Driver, PoolRef } from './drivers/driver.ts'
import { qemuDriver } from './drivers/qemu/driver.ts'
import { openSimulator, type Simulator } from './drivers/simulated/simulator.ts'
import { type CrashPoints, crashPointsFrom } from './jobs/crash-points.ts'
import type { JobDefinition } from './jobs/define-job.ts'
import { definitions } from './jobs/definitions.ts'
import { createRunner, type RunnerOptions } from './jobs/runner.ts'
import type { Log } from './log.ts'
import { createPasswords } from './passwords.ts'
import { openSecrets } from './secrets.ts'
import { loadSettings } from './settings.ts'
import { startPostgres } from './postgres/start-postgres.ts'
import { connect } from './store/database.ts'
import { ensureCapabilities } from './store/hypervisor-capabilities.ts'
import { voidLeases } from './store/jobs.ts'
import { demandSameHypervisor } from './store/hypervisor.ts'
import { migrate } from './store/migrate.ts'
import { watchChanges } from './watch/changes.ts'
import { watchExpunge } from './watch/expunge.ts'
import { watchConsolidation } from './watch/consolidation.ts'
import { watchDownloads } from './watch/downloads.ts'
import { watchForks } from './watch/forks.ts'
import { watchIdentities } from './watch/identities.ts'
import { watchImageStores } from './watch/image-stores.ts'
import { watchForwards } from './watch/forwards.ts'
import { watchHosts } from './watch/hosts.ts'
import { watchLayers } from './watch/layers.ts'
import { watchPools } from './watch/pools.ts'
import { watchPower } from './watch/power.ts'
import { watchVmSnapshots } from './watch/vm-snapshots.ts'

export interface Server {
  readonly app: App
  /** Fulfils, with the reason, when the server cannot go on. */
  readonly broken: Promise<string>
  close(): Promise<void>
}

/** What tests put in place of the real thing. */
export interface Parts {
  readonly simulator?: Simulator
  readonly definitions?: readonly JobDefinition[]
  readonly crashPoints?: CrashPoints
}

export async function build(config: Config, log: Log, parts: Parts = {}): Promise<Server> {
  const closing: (() => Promise<void> | void)[] = []
  const close = async () => {
    for (const each of closing.reverse()) await each()
  }
  try {
    const broken = Promise.withResolvers<string>()
    const url = config.databaseUrl ?? (await startEmbedded(config, log, closing, broken.resolve))
    const { db, close: disconnect } = connect(url, error => log.warn({ err: error }, 'lost a database connection'))
    closing.push(disconnect)
    await migrate(db)

    const simulator = parts.simulator ?? (config.simulate === null ? null : await openSimulator(config.dataDir))
    const driver = simulator?.driver ?? (await openQemu(config, log))
    closing.push(() => driver.close())
    await demandSameHypervisor(db, driver)
    const secrets = await openSecrets(join(config.dataDir, 'secret.key'))
    await bootstrap(db, config, driver, secrets)

    const settings = await loadSettings(db)
    const passwords = createPasswords(secrets)
    const changes = await watchChanges(url, log)
    closing.push(() => changes.close())
    const reload = () => settings.reload().catch(error => log.error({ err: error }, 'cannot reload the settings'))
    changes.listen(({ table }) => void (table.endsWith('configuration') && reload()))

    await ensureCapabilities(db, driver)
    await driver.machines.adopt()
    const pools = watchPools(db, driver, log)
    closing.push(() => pools.close())
    await pools.refresh()
    const power = watchPower(db, driver, log)
    closing.push(() => power.close())
    const hosts = watchHosts(db, driver, power, log)
    closing.push(() => hosts.close())
    const follow = () => {
      simulator?.heed(settings)
      return hosts.refresh()
    }
    settings.onReload(follow)
    await follow()

    if (!config.databaseUrl) await voidLeases(db)
    const onEnd: RunnerOptions['onEnd'] = job => {
      const [kind, vm] = job.lock_key.split(':') // whatever had a machine to itself: its power was nobody's news meanwhile
      if (kind === 'vm') power.settle(vm as VmId).catch(error => log.warn({ err: error }, 'cannot settle a machine'))
    }
    const tools = { db, driver, settings, passwords, log }
    const jobs = createRunner({
      tools,
      definitions: parts.definitions ?? definitions,
      crashPoints: parts.crashPoints ?? crashPointsFrom(process.env),
      onEnd,
    })
    closing.push(() => jobs.close())
    changes.listen(({ table, op }) => {
      if (table === 'job' && op === 'insert') jobs.kick()
    })
    const layers = watchLayers(db, jobs, log)
    closing.push(() => layers.close())
    await layers.sweep()
    const forks = watchForks(db, jobs, log)
    closing.push(() => forks.close())
    await forks.sweep()
    const consolidation = watchConsolidation({ db, settings, log }, jobs)
    closing.push(() => consolidation.close())
    const snapshots = watchVmSnapshots(db, jobs, log)
    closing.push(() => snapshots.close())
    await snapshots.settle()
    const expunges = watchExpunge({ db, settings, log }, jobs)
    closing.push(() => expunges.close())
    const stores = watchImageStores(db, log)
    closing.push(() => stores.close())
    await stores.refresh()
    const downloads = watchDownloads(db, log)
    closing.push(() => downloads.close())
    await downloads.sweep()
    const forwards = watchForwards(db, driver, log)
    closing.push(() => forwards.close())
    await forwards.settle()
    jobs.kick()
    await power.settleAll()
    const identities = watchIdentities({ db, driver, changes, log })
    closing.push(() => identities.close())
    await identities.look()

    const { hypervisor, capabilities } = driver
    const consoleLog = driver.machines.consoleLog
    const storage = {
      async addPool(pool: PoolRef) {
        await driver.pools.prepare(pool)
        return driver.pools.space(pool)
      },
      releasePool: driver.pools.release,
    }
    return {
      app: {
        address: { url: `http://${config.listen.host}:${config.listen.port}` },
        config,
        db,
        settings,
        secrets,
        passwords,
        jobs,
        changes,
        log,
        hypervisor,
        capabilities,
        hostFacts: driver.hosts.facts,
        hostMemory: driver.hosts.memory,
        consoleLog,
        storage,
      },
      broken: broken.promise,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function startEmbedded(
  config: Config,
  log: Log,
  closing: (() => Promise<void> | void)[],
  tellBroken: (reason: string) => void,
): Promise<string> {
  const postgres = await startPostgres({
    directory: config.dataDir,
    log: line => log.info({ postgres: line }, 'database'),
  })
  closing.push(() => postgres.stop())
  // Without its database the server answers nothing; whoever supervises it starts both again.
  void postgres.exited.then(() => tellBroken('the embedded database ended by itself'))
  return postgres.url
}

function openQemu(config: Config, log: Log): Promise<Driver> {
  const { acceleration, uidBase } = config
  return qemuDriver({ runDirectory: join(config.dataDir, 'vms'), acceleration, uidBase, log })
}
