// Which fields of an object make a useful line, by the name that the API gives the object; and what is never shown.

const columns: Readonly<Record<string, readonly string[]>> = {
  virtualmachine: ['name', 'state', 'clonetype', 'templatename', 'ipaddress', 'sshaddress', 'password', 'id'],
  vmsnapshot: ['displayname', 'state', 'type', 'current', 'parentName', 'created', 'id'],
  template: ['name', 'isready', 'status', 'format', 'size', 'ostypename', 'id'],
  iso: ['name', 'isready', 'status', 'bootable', 'size', 'ostypename', 'id'],
  volume: ['name', 'type', 'state', 'size', 'vmname', 'deviceid', 'storage', 'status', 'url', 'id'],
  snapshot: ['name', 'state', 'snapshottype', 'volumename', 'created', 'id'],
  serviceoffering: ['name', 'cpunumber', 'cpuspeed', 'memory', 'iscustomized', 'id'],
  instancegroup: ['name', 'account', 'domain', 'id'],
  affinitygroup: ['name', 'type', 'description', 'account', 'id'],
  diskoffering: ['name', 'disksize', 'iscustomized', 'id'],
  networkoffering: ['name', 'state', 'guestiptype', 'id'],
  nic: ['deviceid', 'networkname', 'ipaddress', 'macaddress', 'isdefault', 'id'],
  network: ['name', 'type', 'state', 'cidr', 'gateway', 'id'],
  publicipaddress: ['ipaddress', 'associatednetworkname', 'state', 'id'],
  portforwardingrule: ['ipaddress', 'publicport', 'virtualmachinename', 'vmguestip', 'privateport', 'state', 'id'],
  zone: ['name', 'networktype', 'allocationstate', 'id'],
  pod: ['name', 'zonename', 'allocationstate', 'id'],
  cluster: ['name', 'zonename', 'podname', 'hypervisortype', 'allocationstate', 'id'],
  host: ['name', 'state', 'type', 'hypervisor', 'cpunumber', 'memorytotal', 'id'],
  storagepool: ['name', 'state', 'type', 'tags', 'disksizetotal', 'disksizeused', 'path', 'id'],
  capacity: ['name', 'capacitytotal', 'capacityused', 'percentused', 'zonename', 'podname', 'clustername'],
  hypervisorcapabilities: ['hypervisor', 'maxguestslimit', 'maxdatavolumeslimit', 'id'],
  imagestore: ['name', 'url', 'readonly', 'disksizetotal', 'disksizeused', 'zonename', 'id'],
  account: ['name', 'roletype', 'domain', 'state', 'id'],
  domain: ['name', 'path', 'state', 'haschild', 'id'],
  role: ['name', 'type', 'description', 'id'],
  tag: ['key', 'value', 'resourcetype', 'resourceid'],
  resourcelimit: ['resourcetypename', 'max', 'account', 'domain'],
  resourcecount: ['resourcetypename', 'resourcecount', 'account', 'domain'],
  user: ['username', 'account', 'domain', 'state', 'id'],
  asyncjobs: ['cmd', 'jobstatus', 'jobprogress', 'jobstep', 'created', 'jobid'],
  event: ['created', 'type', 'level', 'state', 'description'],
  configuration: ['name', 'value', 'category', 'description'],
  api: ['name', 'isasync', 'description'],
  lab: ['name', 'state', 'expires', 'id'],
  labtemplate: ['name', 'description', 'id'],
}

const mostOfUnknown = 7
/** In lists of unknown kind these come first, the rest in the order of the answer, the id last. */
const favourites = ['name', 'displayname', 'state', 'status', 'type']

/** The columns for `rows` of `kind`, leaving out those that no row has. */
export function columnsFor(kind: string, rows: readonly Readonly<Record<string, unknown>>[]): string[] {
  const chosen = columns[kind.toLowerCase()]?.filter(name => rows.some(row => isFilled(row[name]))) ?? []
  return chosen.length > 1 ? chosen : genericColumns(rows)
}

function genericColumns(rows: readonly Readonly<Record<string, unknown>>[]): string[] {
  const present = new Set(
    rows.flatMap(row => Object.keys(row).filter(name => isFilled(row[name]) && !isNested(row[name]))),
  )
  const rest = [...present].filter(name => name !== 'id' && !favourites.includes(name))
  const front = favourites.filter(name => present.has(name))
  return [...[...front, ...rest].slice(0, mostOfUnknown), ...(present.has('id') ? ['id'] : [])]
}

export function isFilled(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

export function isNested(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}
