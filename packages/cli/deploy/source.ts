// What a machine is made of: a template, or a node of some machine's tree of VM snapshots.
import type { Fields } from '@ramet/client/api-error.ts'
import type { Client } from '@ramet/client/client.ts'
import { UsageError } from '../explain.ts'
import type { Asker } from './ask.ts'
import { chooseOne, type Option } from './choose.ts'
import { listed, text } from './listed.ts'
import { treeLines } from './tree.ts'

export interface Source {
  readonly parameter: 'templateid' | 'vmsnapshotid'
  readonly id: string
  readonly zone: string
  /** As the plan shows it. */
  readonly shown: string
}

interface Asked {
  readonly templateid?: string | undefined
  readonly vmsnapshotid?: string | undefined
  /** Whose VM snapshots are offered, and nothing else. */
  readonly virtualmachineid?: string | undefined
}

export async function chooseSource(client: Client, asker: Asker, asked: Asked): Promise<Source> {
  const { templateid, vmsnapshotid, virtualmachineid } = asked
  if (templateid && vmsnapshotid) throw new UsageError('templateid and vmsnapshotid exclude each other; leave one out')
  if (templateid) return known(await templates(client, { id: templateid }), 'template', templateid)
  if (vmsnapshotid) return known(await snapshots(client, { vmsnapshotid }), 'VM snapshot', vmsnapshotid)
  const options = virtualmachineid
    ? await snapshots(client, { virtualmachineid })
    : [...(await templates(client, {})), ...(await snapshots(client, { listall: true }))]
  if (options.length === 0)
    throw new UsageError(
      virtualmachineid
        ? `Machine ${virtualmachineid} has no VM snapshot that is Ready; createVMSnapshot takes one`
        : 'There is no template that is ready, and no VM snapshot; registerTemplate and createVMSnapshot make them',
    )
  const question = { text: 'What shall the machine be made of?', parameter: 'templateid=… or vmsnapshotid=…' }
  return chooseOne(asker, options, question)
}

function known([found]: readonly Option<Source>[], what: string, id: string): Source {
  if (found) return found.value
  throw new UsageError(`There is no ${what} ${id} that is ready and that you may use`)
}

async function templates(client: Client, filter: Record<string, string>): Promise<Option<Source>[]> {
  const found = await listed(client, 'listTemplates', 'template', { templatefilter: 'executable', ...filter })
  return found
    .filter(each => each['isready'] === true)
    .map((each, index) => {
      const [id, name] = [text(each['id']), text(each['name'])]
      const source = { parameter: 'templateid', id, zone: text(each['zoneid']), shown: `template ${name}` } as const
      return { id, name, value: source, ...(index === 0 && { heading: 'Templates' }) }
    })
}

async function snapshots(client: Client, filter: Record<string, string | boolean>): Promise<Option<Source>[]> {
  const oldestFirst = (await listed(client, 'listVMSnapshot', 'vmSnapshot', filter)).toReversed()
  const nodes = oldestFirst.map(each => ({ id: text(each['id']), parent: text(each['parent']) || null, each }))
  const machines = new Set(nodes.map(({ each }) => text(each['virtualmachineid'])))
  return [...machines].flatMap(machine => ofMachine(nodes.filter(({ each }) => each['virtualmachineid'] === machine)))
}

function ofMachine(nodes: readonly { readonly id: string; readonly parent: string | null; readonly each: Fields }[]) {
  const usable = treeLines(nodes).filter(({ node }) => node.each['state'] === 'Ready')
  return usable.map(({ node: { id, each }, indent }, index): Option<Source> => {
    const [name, machine] = [text(each['displayname']), text(each['virtualmachinename'])]
    const marks = [text(each['type']), text(each['created']), each['current'] === true ? 'current' : ''].filter(Boolean)
    const shown = `VM snapshot ${name} of ${machine}`
    return {
      id,
      name,
      label: `${indent}${name}  (${marks.join(', ')})`,
      value: { parameter: 'vmsnapshotid', id, zone: text(each['zoneid']), shown },
      ...(index === 0 && { heading: `VM snapshots of ${machine}` }),
    }
  })
}
