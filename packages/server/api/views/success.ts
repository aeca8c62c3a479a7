// The answer of a command that has nothing to show but that it worked.
import { boolean, string, view } from '../view.ts'

export interface Success {
  readonly success: boolean
  readonly displaytext?: string
}

export const successView = view<Success>('success', {
  success: boolean('whether it worked', answer => answer.success),
  displaytext: string('more about it', answer => answer.displaytext),
})
