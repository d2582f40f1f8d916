// What a browser keeps of its user: how things look, never what is looked at.
import { effect, signal } from '@preact/signals'

function kept<T extends string>(name: string, values: readonly T[], byDefault: T) {
	let start = byDefault
	try {
		const v = localStorage.getItem(name)
		if (v !== null && (values as readonly string[]).includes(v)) start = v as T
	} catch {
		// without storage the default is all there is
	}
	const s = signal<T>(start)
	s.subscribe(v => {
		try {
			if (v === byDefault) localStorage.removeItem(name)
			else localStorage.setItem(name, v)
		} catch {
			// likewise
		}
	})
	return s
}

export const themes = ['system', 'light', 'dark'] as const
export const theme = kept('theme', themes, 'system')

export const languages = ['en', 'ko'] as const
export type Language = (typeof languages)[number]
export const language = kept<Language>('language', languages, navigator.languages.find(l => /^(en|ko)\b/.test(l))?.startsWith('ko') ? 'ko' : 'en')

export const zones = ['local', 'UTC', 'Asia/Seoul'] as const
export const zone = kept('zone', zones, 'local')

export const densities = ['normal', 'compact'] as const
export const density = kept('density', densities, 'normal')

export const keySettings = ['on', 'off'] as const
export const keysOn = kept('keys', keySettings, 'on')

effect(() => {
	const root = document.documentElement
	root.lang = language.value
	root.dataset.theme = theme.value
	root.dataset.density = density.value
})

// seen is the cut up to which this browser's user has seen what happened.
export const seen = {
	get: (): string => {
		try {
			return localStorage.getItem('seen') ?? ''
		} catch {
			return ''
		}
	},
	set: (cut: string) => {
		try {
			localStorage.setItem('seen', cut)
		} catch {
			// without storage everything is new
		}
	},
}

interface Boot {
	version: string
	open: boolean // no credentials are needed
	layout: string // addresses of what lays graphs out, …
	plot: string // … and of what draws curves
}
export const boot: Boot = JSON.parse(document.getElementById('boot')?.textContent || '{"version":"","open":true,"layout":"/ui/layout.js","plot":"/ui/plot.js"}') as Boot

export const narrow = signal(matchMedia('(max-width: 44rem)').matches)
matchMedia('(max-width: 44rem)').addEventListener('change', e => { narrow.value = e.matches })
