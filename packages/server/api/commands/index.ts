// Every command of the API, by name. A command that is not here does not exist: not for listApis, not for the door.
import type { Command } from '../command.ts'
import { createServiceOffering } from './create-service-offering.ts'
import { listZones } from './list-zones.ts'

export const commands: readonly Command[] = [createServiceOffering, listZones]
