// Where built images are kept, so that they are built once a machine and not once a run.
import { homedir } from 'node:os'
import { join } from 'node:path'

export function imageCache(): string {
  return join(process.env['RAMET_CACHE'] ?? join(homedir(), '.cache', 'ramet'), 'images')
}
