// The one place where the server's parts are made and joined. Each is closed in the opposite order.
import { join } from 'node:path'
import type { VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { bootstrap } from './bootstrap.ts'
import type { Config } from './config.ts'
import type { App, Clusters, Reached } from './app.ts'
import type { Driver, PoolRef } from './drivers/driver.ts'
import { Drivers, type Opener } from './drivers/drivers.ts'
import { qemuDriver } from './drivers/qemu/driver.ts'
import { vsphereOpener } from './drivers/vsphere/opener.ts'
import { openSimulator, type Simulator } from './drivers/simulated/simulator.ts'
import { askedJobs } from './jobs/asked-jobs.ts'
import { type CrashPoints, crashPointsFrom } from './jobs/crash-points.ts'
import type { JobDefinition } from './jobs/define-job.ts'
import { definitions } from './jobs/definitions.ts'
import { clusterOf, driverOfJob } from './jobs/driver-of-job.ts'
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
import { type ClusterWatch, watchClusters } from './watch/clusters.ts'
import { watchChanges } from './watch/changes.ts'
import { watchExpunge } from './watch/expunge.ts'
import { watchConsolidation } from './watch/consolidation.ts'
import { watchDownloads } from './watch/downloads.ts'
import { watchForks } from './watch/forks.ts'
import { watchIdentities } from './watch/identities.ts'
import { watchImageStores } from './watch/image-stores.ts'
import { watchForwards } from './watch/forwards.ts'
import { watchHeldMemory } from './watch/held-memory.ts'
import { watchHosts } from './watch/hosts.ts'
import { watchLayers } from './watch/layers.ts'
import { watchPools } from './watch/pools.ts'
import { watchPower } from './watch/power.ts'
import { watchTasks } from './watch/tasks.ts'
import { watchWarm } from './watch/warm.ts'
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
    const drivers = new Drivers(driver, openersFor(simulator))
    closing.push(() => drivers.close())
    await demandSameHypervisor(db, driver)
    const secrets = await openSecrets(join(config.dataDir, 'secret.key'))
    await bootstrap(db, config, driver, secrets)

    const settings = await loadSettings(db)
    const passwords = createPasswords(secrets)
    const report = (text: string) => (error: unknown) => log.warn({ err: error }, text)
    const changes = await watchChanges(url, log)
    closing.push(() => changes.close())
    const reload = () => settings.reload().catch(error => log.error({ err: error }, 'cannot reload the settings'))
    changes.listen(({ table }) => void (table.endsWith('configuration') && reload()))

    await ensureCapabilities(db, driver)
    await driver.machines.adopt()
    watchTasks(db, drivers, log)
    const clusters = watchClusters({ db, drivers, secrets, log })
    closing.push(() => clusters.close())
    await clusters.begin(15_000)
    changes.listen(
      ({ table }) => void (table === 'cluster' && clusters.refresh().catch(report('cannot look for clusters'))),
    )
    const pools = watchPools(db, drivers, log)
    closing.push(() => pools.close())
    await pools.refresh()
    const power = watchPower(db, drivers, log)
    closing.push(() => power.close())
    const hosts = watchHosts(db, drivers, power, log)
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
      driverOf: job => driverOfJob(db, drivers, job),
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
    const forks = watchForks({ db, settings, log }, jobs)
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
    const warm = watchWarm({ db, driver, settings, log })
    closing.push(() => warm.close())
    const heldMemory = watchHeldMemory({ db, settings, log }, drivers)
    closing.push(() => heldMemory.close())

    const { hypervisor } = driver
    const consoleLog: App['consoleLog'] = async (vm, maxBytes) =>
      drivers.of(await clusterOf(db, 'vm', vm)).machines.consoleLog(vm, maxBytes)
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
        jobs: askedJobs(jobs),
        changes,
        log,
        hypervisor,
        capabilitiesOf: cluster => drivers.of(cluster).capabilities,
        clusters: clustersOf(drivers, clusters),
        hostFacts: driver.hosts.facts,
        hostMemory: (host, cluster) => drivers.of(cluster).hosts.memory(host),
        spares: warm.spares,
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

function clustersOf(drivers: Drivers, watch: ClusterWatch): Clusters {
  return {
    hypervisors: drivers.hypervisors,
    async reach(hypervisor, connection) {
      const driver = await drivers.opener(hypervisor).open(connection)
      const drop = () => driver.close()
      try {
        const machines = (await driver.machines.list()).map(({ vm }) => vm)
        const inventory = await driver.forest.inventory()
        const keep: Reached['keep'] = async cluster => {
          drivers.expect(cluster, hypervisor)
          await drivers.take(cluster, driver, connection)
        }
        return { inventory, machines, keep, drop }
      } catch (error) {
        await drop()
        throw error
      }
    },
    inventory: async cluster => {
      const { forest } = drivers.of(cluster)
      if (!forest) throw new Problem('unsupported', 'no-inventory', 'The cluster has no inventory besides its hosts')
      return forest.inventory()
    },
    refresh: () => watch.refresh(),
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

/** A simulated cloud has simulated clusters of others, too. */
function openersFor(simulator: Simulator | null): Opener[] {
  return [simulator?.opener ?? vsphereOpener]
}

function openQemu(config: Config, log: Log): Promise<Driver> {
  const { acceleration, uidBase } = config
  return qemuDriver({ runDirectory: join(config.dataDir, 'vms'), acceleration, uidBase, log })
}
