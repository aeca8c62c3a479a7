// What a network offers, in CloudStack's words. Addresses, names and ways in are there in every network; a way out is a matter of choice.
import type { Row } from '../store/tables.ts'
import { invalid } from './parameters.ts'

export const services = ['Dhcp', 'Dns', 'PortForwarding', 'SourceNat'] as const

interface Asked {
  readonly supportedservices?: readonly (string | undefined)[] | undefined
  readonly hostaccess?: boolean | undefined
}

/** Whether machines of an offering get out, and how far. */
export function chosenServices({
  supportedservices = [],
  hostaccess,
}: Asked): Pick<Row<'network_offering'>, 'source_nat' | 'reaches_host'> {
  const known = services.map(each => each.toLowerCase())
  const asked = supportedservices.map(each => (each ?? '').toLowerCase())
  const unknown = asked.findIndex(each => !known.includes(each))
  if (unknown >= 0)
    throw invalid('supportedservices', `names ${supportedservices[unknown]}; there are ${services.join(', ')}`)
  const source_nat = asked.includes('sourcenat')
  if (hostaccess && !source_nat)
    throw invalid('hostaccess', 'is for an offering with a way out: name SourceNat in supportedservices too')
  return { source_nat, reaches_host: hostaccess ?? false }
}

export function servicesOf({ source_nat, is_segment, of_inventory }: Row<'network_offering'>): readonly string[] {
  if (of_inventory) return []
  if (!is_segment) return ['Dhcp', 'Dns']
  return services.filter(each => each !== 'SourceNat' || source_nat)
}
