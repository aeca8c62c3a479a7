// The parameter `details` of a machine: sizes for a custom offering, the size of the root disk, and whatever else a client
// wants kept with the machine.
import { customSizes } from '@ramet/core/offering.ts'
import { invalid } from './parameters.ts'

const consumed: readonly string[] = [...customSizes, 'rootdisksize']
const mostDetails = 100

/** What is kept: all but what has become a size. */
export function keptDetails(details: ReadonlyMap<string, string>): Record<string, string> {
  if (details.size > mostDetails)
    throw invalid('details', `has ${details.size} entries; at most ${mostDetails} are allowed`)
  return Object.fromEntries([...details].filter(([name]) => !consumed.includes(name.toLowerCase())))
}

/** `details[0].rootdisksize`, GiB, which some clients send instead of the parameter of that name. */
export function detailedRootSize(details: ReadonlyMap<string, string>): number | undefined {
  const said = details.get('rootdisksize')
  if (said === undefined) return undefined
  if (!/^\d{1,5}$/.test(said) || Number(said) < 1 || Number(said) > 64 * 1024)
    throw invalid('details[0].rootdisksize', `must be a whole number from 1 to 65536; it is "${said}"`)
  return Number(said)
}
