// Properties of managed objects that we read, and how they are read once. Never in a loop: what changes is followed (watch.ts).
import type { CallOptions, Connection } from './connection.ts'
import { VimFault, faultFrom } from './faults.ts'
import type { Data, Ref, ValueOf } from './schema.ts'

export const properties = {
  Folder: { name: 'string', parent: 'ref', childEntity: 'ref[]', childType: 'string[]' },
  Datacenter: {
    name: 'string',
    parent: 'ref',
    vmFolder: 'ref',
    hostFolder: 'ref',
    datastore: 'ref[]',
    network: 'ref[]',
  },
  ComputeResource: { name: 'string', parent: 'ref', resourcePool: 'ref', host: 'ref[]' },
  ClusterComputeResource: { name: 'string', parent: 'ref', resourcePool: 'ref', host: 'ref[]' },
  ResourcePool: { name: 'string', parent: 'ref', owner: 'ref' },
  HostSystem: {
    name: 'string',
    parent: 'ref',
    datastore: 'ref[]',
    network: 'ref[]',
    'runtime.connectionState': 'string',
    'runtime.powerState': 'string',
    'runtime.inMaintenanceMode': 'boolean',
    'summary.config.product.version': 'string',
    'summary.hardware.numCpuThreads': 'short',
    'summary.hardware.cpuMhz': 'int',
    'summary.hardware.memorySize': 'long',
    'summary.quickStats.overallMemoryUsage': 'int',
    'capability.cloneFromSnapshotSupported': 'boolean',
    'capability.deltaDiskBackingsSupported': 'boolean',
    'capability.vmotionSupported': 'boolean',
  },
  Datastore: {
    name: 'string',
    parent: 'ref',
    host: 'any',
    vm: 'ref[]',
    'summary.accessible': 'boolean',
    'summary.capacity': 'long',
    'summary.freeSpace': 'long',
    'summary.type': 'string',
    'summary.maintenanceMode': 'string',
  },
  Network: { name: 'string', parent: 'ref' },
  DistributedVirtualPortgroup: {
    name: 'string',
    parent: 'ref',
    key: 'string',
    'config.distributedVirtualSwitch': 'ref',
  },
  DistributedVirtualSwitch: { name: 'string', uuid: 'string', 'config.uplinkPortgroup': 'ref[]' },
  VirtualMachine: {
    name: 'string',
    parent: 'ref',
    resourcePool: 'ref',
    datastore: 'ref[]',
    network: 'ref[]',
    config: 'VirtualMachineConfigInfo',
    'config.changeVersion': 'string',
    'config.uuid': 'string',
    'config.instanceUuid': 'string',
    'config.template': 'boolean',
    'config.files.vmPathName': 'string',
    'config.extraConfig': 'OptionValue[]',
    'config.guestFullName': 'string',
    'config.hardware.device': 'VirtualDevice[]',
    'config.hardware.numCPU': 'int',
    'config.hardware.memoryMB': 'int',
    'runtime.host': 'ref',
    'runtime.powerState': 'string',
    'runtime.connectionState': 'string',
    'runtime.consolidationNeeded': 'boolean',
    'runtime.instantCloneFrozen': 'boolean',
    'runtime.question': 'VirtualMachineQuestionInfo',
    'guest.toolsRunningStatus': 'string',
    recentTask: 'ref[]',
    snapshot: 'VirtualMachineSnapshotInfo',
    layoutEx: 'VirtualMachineFileLayoutEx',
  },
  VirtualMachineSnapshot: { vm: 'ref', config: 'VirtualMachineConfigInfo' },
  ContainerView: { view: 'ref[]' },
  Task: {
    'info.state': 'string',
    'info.progress': 'int',
    'info.error': 'LocalizedMethodFault',
    'info.result': 'any',
    'info.queueTime': 'dateTime',
    'info.startTime': 'dateTime',
    'info.completeTime': 'dateTime',
  },
} as const

export type Kind = keyof typeof properties
export type Path<K extends Kind> = keyof (typeof properties)[K] & string
/** What was read of an object; a property that is unset is absent. */
export type Properties<K extends Kind, P extends Path<K> = Path<K>> = {
  readonly [Each in P]?: ValueOf<(typeof properties)[K][Each]> | undefined
}

/** The properties of one object; a fault where it is gone, or may not be seen. */
export async function readObject<K extends Kind, P extends Path<K>>(
  connection: Connection,
  ref: Ref<K>,
  paths: readonly P[],
  options: CallOptions = {},
): Promise<Properties<K, P>> {
  const [kind] = ref.split(':')
  const spec = { propSet: [{ type: kind ?? '', pathSet: paths }], objectSet: [{ obj: ref }] }
  const { objects = [] } = await retrieve(connection, spec, undefined, options)
  const [missing] = objects.flatMap(({ missingSet = [] }) => missingSet)
  if (missing) throw faultFrom(missing.fault)
  if (!objects[0]) throw new VimFault({ is: 'ManagedObjectNotFound', obj: ref }, `${ref} is not there`)
  return asProperties<K, P>(objects[0])
}

/** The properties of many objects; one that went away meanwhile is left out. */
export async function readObjects<K extends Kind, P extends Path<K>>(
  connection: Connection,
  kind: K,
  refs: readonly Ref[],
  paths: readonly P[],
): Promise<Map<Ref<K>, Properties<K, P>>> {
  if (refs.length === 0) return new Map()
  const objectSet = refs.map(obj => ({ obj }))
  const spec = { propSet: [{ type: kind, pathSet: paths }], objectSet, reportMissingObjectsInResults: true }
  const found = new Map<Ref<K>, Properties<K, P>>()
  for (let page: Page = await retrieve(connection, spec, 500); ; ) {
    for (const each of page.objects ?? []) if (each.propSet) found.set(each.obj as Ref<K>, asProperties<K, P>(each))
    if (page.token === undefined) return found
    page = await nextPage(connection, page.token)
  }
}

type Page = Data<'RetrieveResult'>

function nextPage(connection: Connection, token: string): Promise<Page> {
  return connection.call(connection.content.propertyCollector, 'ContinueRetrievePropertiesEx', { token })
}

async function retrieve(
  connection: Connection,
  spec: Data<'PropertyFilterSpec'>,
  maxObjects?: number,
  options: CallOptions = {},
): Promise<Page> {
  const parameters = { specSet: [spec], options: { maxObjects } }
  const { propertyCollector } = connection.content
  return (await connection.call(propertyCollector, 'RetrievePropertiesEx', parameters, options)) ?? {}
}

function asProperties<K extends Kind, P extends Path<K>>({ propSet = [] }: Data<'ObjectContent'>): Properties<K, P> {
  return Object.fromEntries(propSet.map(({ name, val }) => [name, val])) as Properties<K, P>
}
