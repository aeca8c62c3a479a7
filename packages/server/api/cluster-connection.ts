// How a cluster is reached whose hypervisor keeps its own disks: what addCluster and updateCluster are told of it.
import type { Connection, ForeignInventory } from '../app.ts'
import { invalid, text, type Values } from './parameters.ts'

export const connectionParameters = {
  url: text('https://HOST/DATACENTER/CLUSTER, where a vCenter manages the cluster', 1024),
  username: text('user of the vCenter', 255),
  password: text('password of that user; it is sealed, and never shown', 255),
  thumbprint: text(
    'SHA-256 of the certificate of the vCenter, as the refusal of an unknown one shows it; absent: one that this machine trusts',
    95,
  ),
  guestvswitchname: text(
    'the network of the vCenter that machines are plugged into; VM Network when absent, or the first that is there',
    255,
  ),
}

type Given = Partial<Values<typeof connectionParameters>>

/** What is not said is as `known`. */
export function connectionFrom(given: Given, known?: Connection): Connection {
  const [url, username, password] = [
    given.url ?? known?.url,
    given.username ?? known?.username,
    given.password ?? known?.password,
  ]
  if (!url) throw invalid('url', 'is missing: https://HOST/DATACENTER/CLUSTER')
  if (!username) throw invalid('username', 'is missing')
  if (!password) throw invalid('password', 'is missing')
  return {
    url: demandUrl(url),
    username,
    password,
    thumbprint: thumbprintFrom(given.thumbprint) ?? known?.thumbprint ?? null,
  }
}

function demandUrl(url: string): string {
  const { protocol, hostname, username, password, pathname } = parse(url)
  if (protocol !== 'https:' && protocol !== 'http:')
    throw invalid('url', `must be https://HOST/DATACENTER/CLUSTER; it is "${url}"`)
  if (hostname === '' || pathname.split('/').filter(Boolean).length < 2)
    throw invalid('url', `must name datacenter and cluster: https://HOST/DATACENTER/CLUSTER; it is "${url}"`)
  if (username !== '' || password !== '')
    throw invalid('url', 'holds a user or a password; give them as username and password, which are sealed')
  return url.replace(/^http:/, 'https:') // as CloudStack's clients write it; a vCenter speaks TLS only
}

function parse(url: string): Pick<URL, 'protocol' | 'hostname' | 'username' | 'password' | 'pathname'> {
  if (URL.canParse(url)) return new URL(url)
  throw invalid('url', 'must be https://HOST/DATACENTER/CLUSTER')
}

function thumbprintFrom(given: string | undefined): string | null {
  if (given === undefined) return null
  const hex = given.replaceAll(':', '').toUpperCase()
  if (!/^[0-9A-F]{64}$/.test(hex)) throw invalid('thumbprint', 'must be 64 hex digits, with or without colons')
  return (hex.match(/../g) ?? []).join(':')
}

/** What cards are plugged into; a Problem where the inventory has no such network. */
export function guestNetworkIn({ networks }: ForeignInventory, asked: string | undefined): string | null {
  if (asked !== undefined && !networks.includes(asked))
    throw invalid('guestvswitchname', `names no network of the cluster; there are ${networks.join(', ') || 'none'}`)
  return asked ?? networks.find(name => name === 'VM Network') ?? networks[0] ?? null
}
