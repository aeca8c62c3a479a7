// What is asked of a machine besides its source. What was said on the command line is not asked; what is optional neither, where
// the caller said yes to everything.
import type { Fields } from '@ramet/client/api-error.ts'
import type { Client } from '@ramet/client/client.ts'
import { cloneTypes } from '@ramet/core/clone-type.ts'
import { UsageError } from '../explain.ts'
import type { Asker } from './ask.ts'
import { chooseOne, chooseSome } from './choose.ts'
import { listed, text } from './listed.ts'
import type { Source } from './source.ts'

export interface Asking {
  readonly client: Client
  readonly asker: Asker
  readonly source: Source
  readonly isYes: boolean
  /** What is said so far, as the parameters of deployVirtualMachine. */
  readonly said: Readonly<Record<string, string>>
}

/** Parameters for the call, and how the plan shows them. */
export interface Answer {
  readonly parameters: Readonly<Record<string, string>>
  readonly shown: string
}

export async function name({ asker, isYes, said }: Asking): Promise<Answer> {
  const unnamed = { parameters: {}, shown: 'made up by the server' }
  if (said['name']) return { parameters: {}, shown: said['name'] }
  if (isYes) return unnamed
  const question = { text: 'Its name (empty: one is made up):', parameter: 'name=…', otherwise: '' }
  return asker.ask(question, answer => (answer ? { parameters: { name: answer }, shown: answer } : unnamed))
}

export async function offering(asking: Asking): Promise<Answer> {
  const { client, asker, source, isYes, said } = asking
  const isOptional = source.parameter === 'vmsnapshotid'
  const inherited = { parameters: {}, shown: 'as its VM snapshot has it' }
  const id = said['serviceofferingid']
  if (!id && isOptional && isYes) return inherited
  const found = await listed(client, 'listServiceOfferings', 'serviceoffering', id ? { id } : {})
  const options = found.map(each => ({
    value: each as Fields | null,
    id: text(each['id']),
    name: text(each['name']),
    label: sizeOf(each),
  }))
  if (id && !found[0]) throw new UsageError(`There is no service offering ${id}`)
  const keep = { value: null, id: '', name: '', label: 'As its VM snapshot has it' }
  const chosen =
    (id ? found[0] : undefined) ??
    (await chooseOne(asker, isOptional ? [...options, keep] : options, {
      text: `Its service offering${isOptional ? ' (empty: as its VM snapshot has it)' : ''}:`,
      parameter: 'serviceofferingid=…',
      otherwise: isOptional ? String(options.length + 1) : undefined,
    }))
  if (!chosen) return inherited
  return {
    parameters: { serviceofferingid: text(chosen['id']), ...(await openSizes(asking, chosen)) },
    shown: sizeOf(chosen),
  }
}

function sizeOf(each: Fields): string {
  const [cpus, mib] = [each['cpunumber'], each['memory']]
  const sizes = [cpus && `${text(cpus)} CPU${cpus === 1 ? '' : 's'}`, mib && `${text(mib)} MiB`].filter(Boolean)
  return `${text(each['name'])}: ${sizes.length > 0 ? sizes.join(', ') : 'sizes of your choice'}`
}

const sizes = [
  ['cpunumber', 'cpuNumber', 'CPUs:'],
  ['cpuspeed', 'cpuSpeed', 'MHz of each:'],
  ['memory', 'memory', 'MiB of memory:'],
] as const

/** What a custom offering leaves open, unless the call says it; a VM snapshot has it too. */
async function openSizes({ asker, source, said }: Asking, chosen: Fields): Promise<Record<string, string>> {
  const isSaid = Object.keys(said).some(key => key.toLowerCase().startsWith('details['))
  if (isSaid || source.parameter === 'vmsnapshotid') return {}
  const parameters: Record<string, string> = {}
  for (const [field, detail, question] of sizes) {
    if (chosen[field] !== undefined) continue
    const parameter = `details[0].${detail}`
    const read = (answer: string) => {
      if (/^[1-9]\d*$/.test(answer)) return answer
      throw new UsageError(`"${answer}" is no number`)
    }
    parameters[parameter] = await asker.ask({ text: question, parameter: `${parameter}=…` }, read)
  }
  return parameters
}

export async function networks({ client, asker, source, isYes, said }: Asking): Promise<Answer> {
  const filter = { zoneid: source.zone, canusefordeploy: true, listall: true }
  const found = await listed(client, 'listNetworks', 'network', filter)
  const nameOf = (id: string) => text(found.find(each => each['id'] === id)?.['name']) || id
  if (said['networkids']) return { parameters: {}, shown: said['networkids'].split(',').map(nameOf).join(', ') }
  const usual = { parameters: {}, shown: text(found[0]?.['name']) || 'none' }
  if (found.length < 2 || isYes) return usual
  const options = found.map(each => ({ value: each, id: text(each['id']), name: text(each['name']) }))
  const chosen = await chooseSome(asker, options, {
    text: `Its networks, by commas, the default first (empty: ${usual.shown}):`,
    parameter: 'networkids=…',
    otherwise: '',
  })
  if (chosen.length === 0) return usual
  return {
    parameters: { networkids: chosen.map(each => text(each['id'])).join(',') },
    shown: chosen.map(each => text(each['name'])).join(', '),
  }
}

export async function dataVolumes({ asker, source, isYes, said }: Asking): Promise<Answer | null> {
  const none = { parameters: {}, shown: 'none' }
  if (source.parameter !== 'vmsnapshotid') return null
  if (said['datavolumes']) return { parameters: {}, shown: said['datavolumes'] === 'true' ? 'as then' : 'none' }
  if (isYes) return none
  const question = {
    text: 'Its data volumes too, as they were? [y/n] (empty: n)',
    parameter: 'datavolumes=…',
    otherwise: 'n',
  }
  const isWanted = await asker.ask(question, yesOrNo)
  return isWanted ? { parameters: { datavolumes: 'true' }, shown: 'as then' } : none
}

export function yesOrNo(answer: string): boolean {
  if (/^(y(es)?|no?)$/i.test(answer)) return /^y/i.test(answer)
  throw new UsageError(`"${answer}" is neither y nor n`)
}

export async function cloneType({ asker, isYes, said }: Asking): Promise<Answer> {
  const usual = { parameters: {}, shown: 'as the offering, the storage pool or the global setting says' }
  if (said['clonetype']) return { parameters: {}, shown: said['clonetype'] }
  if (isYes) return usual
  const question = `Its clone type, ${cloneTypes.join(' or ')} (empty: ${usual.shown}):`
  return asker.ask({ text: question, parameter: 'clonetype=…', otherwise: '' }, answer => {
    if (!answer) return usual
    const type = cloneTypes.find(each => each === answer.toLowerCase())
    if (type) return { parameters: { clonetype: type }, shown: type }
    throw new UsageError(`"${answer}" is no clone type; say ${cloneTypes.join(' or ')}`)
  })
}
