// An ISO on the wire: what a template shows, under another name.
import { view } from '../view.ts'
import { templateView } from './template.ts'

export const isoView = view('iso', templateView.fields)
