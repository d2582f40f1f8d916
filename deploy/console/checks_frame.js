// Checks of what stands around every page.
const fs = require('fs')
const { waitMillis } = require('./world.js')
const axeSource = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

// axe is evaluated by the debugger, which the policy of a page does not bind.
async function axe(page) {
  await page.evaluate(axeSource)
  const found = await page.evaluate(async () => (await window.axe.run(document, { resultTypes: ['violations'] })).violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | ')}`))
  return found
}

module.exports = (check, w, { must, same }) => {
  check('1 axe finds nothing serious, on every page in both themes', async () => {
    const all = []
    for (const theme of ['light', 'dark']) {
      for (const [name, at] of Object.entries(w.pages)) {
        const page = await w.open(at, { theme })
        await w.settled(page)
        all.push(...(await axe(page)).map(f => `${theme} ${name}: ${f}`))
        await w.closeAll()
      }
    }
    same(all, [], 'found')
    return `${Object.keys(w.pages).length} pages twice`
  })

  check('1 axe finds nothing serious in dialogs', async () => {
    const all = []
    for (const [at, open] of [['/ui/', p => p.keyboard.press('?')], ['/ui/', p => p.keyboard.press('Control+k')], ['/ui/', p => p.keyboard.press('t')], [w.pages.workflow, p => p.getByRole('button', { name: 'Trigger', exact: true }).click()], ['/ui/', p => p.getByRole('button', { name: 'Settings' }).click()]]) {
      const page = await w.open(at)
      await w.settled(page)
      await open(page)
      await page.locator('dialog[open], .settings:popover-open').first().waitFor({ timeout: waitMillis })
      await w.pause(page, 250)
      all.push(...(await axe(page)))
      await w.closeAll()
    }
    same(all, [], 'found')
  })

  check('2 3 4 every page is silent, violates no policy, and asks nobody else', async () => {
    for (const at of Object.values(w.pages)) {
      const page = await w.open(at)
      await w.settled(page)
      same(await w.violations(page), [], at)
      await w.closeAll()
    }
  })

  check('5 6 at 390 px and at 400 % nothing scrolls sideways', async () => {
    for (const width of [390, 320]) {
      for (const [name, at] of Object.entries(w.pages)) {
        const page = await w.open(at, { width, height: width === 320 ? 256 : 800 })
        await w.settled(page)
        const over = await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth, (m => m.scrollWidth - m.clientWidth)(document.getElementById('main'))))
        must(over <= 0, `${name} at ${width}: ${over} px`)
        await w.closeAll()
      }
    }
  })

  check('7 8 9 by keys alone: a run is opened, two are compared, a moment is gone to, and the focus is never lost', async () => {
    const page = await w.open('/ui/')
    await w.settled(page)
    // A page takes the focus once it is drawn.
    const focused = where => page.waitForFunction(() => document.activeElement !== null && document.activeElement !== document.body, null, { timeout: waitMillis }).catch(() => must(false, `${where}: the focus is nowhere`))
    await w.chord(page, 'g', 'r')
    await page.locator('[role=grid] [data-row="0"]').waitFor({ timeout: waitMillis })
    await focused('runs')
    await page.keyboard.press('j')
    await page.waitForFunction(() => document.activeElement?.hasAttribute('data-row'), null, { timeout: waitMillis })
    await page.keyboard.press('x')
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('x')
    await page.waitForFunction(() => new URLSearchParams(location.search).get('sel')?.split(',').length === 2, null, { timeout: waitMillis })
    await page.keyboard.press('c')
    await page.locator('table.compare').waitFor({ timeout: waitMillis })
    await focused('compare')
    await page.goBack()
    await page.locator('[role=grid] [data-row="0"]').waitFor({ timeout: waitMillis })
    await page.waitForFunction(() => document.activeElement?.hasAttribute('data-row'), null, { timeout: waitMillis })
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/ui\/runs\/[0-9a-f]{32}/, { timeout: waitMillis })
    await page.locator('main h1').waitFor({ timeout: waitMillis })
    await focused('run')
    await page.keyboard.press('t')
    await page.keyboard.type('mlops-events/0@20')
    await page.keyboard.press('Enter')
    await page.waitForURL(/known_at=mlops-events\/0@20/, { timeout: waitMillis })
    await focused('moment')
    await page.keyboard.press('n')
    await page.waitForFunction(() => !location.search.includes('known_at'), null, { timeout: waitMillis })
    w.take() // the run was not known at that moment: 404 is what is wanted
    await page.keyboard.press('Escape')
    await page.waitForURL(/\/ui\/runs$/, { timeout: waitMillis })
  })

  check('9 ? lists every key, in Hangul mode too, and single keys can be switched off', async () => {
    const page = await w.open('/ui/runs')
    await w.settled(page)
    const press = (key, code, shiftKey = false) => page.evaluate(([key, code, shiftKey]) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, code, shiftKey, bubbles: true, cancelable: true })), [key, code, shiftKey])
    await page.keyboard.press('?')
    await page.locator('dialog[open] .keys dt').first().waitFor({ timeout: waitMillis })
    const listed = await page.locator('dialog[open] .keys dt').allInnerTexts()
    for (const key of ['Ctrl+K', '/', '?', 'g\nr', 'j', 'k', 'Enter', 'x', 'c', '[', ']', '{', '}', 't', 'n', '.', 'Space', 'y', 'Escape']) must(listed.some(l => l.replace(/\s+/g, ' ') === key.replace(/\s+/g, ' ') || l.replace(/\s+/g, '') === key.replace(/\s+/g, '')), `${key} is not listed in ${JSON.stringify(listed)}`)
    await page.keyboard.press('Escape')
    await page.locator('dialog[open]').waitFor({ state: 'detached', timeout: waitMillis })
    await Promise.all([press('ㅎ', 'KeyG'), press('ㅡ', 'KeyM')])
    await page.waitForURL(/\/ui\/models/, { timeout: waitMillis })
    await page.keyboard.press('?')
    await page.getByLabel('Single keys do something').uncheck()
    await page.keyboard.press('Escape')
    await page.locator('dialog[open]').waitFor({ state: 'detached', timeout: waitMillis })
    await w.chord(page, 'g', 'e')
    await w.pause(page, 200)
    must(page.url().includes('/ui/models'), 'a key does something though keys are off')
    await page.evaluate(() => localStorage.clear())
    return `${listed.length} keys`
  })

  check('10 with reduced motion nothing moves', async () => {
    const page = await w.open('/ui/', { motion: 'reduce' })
    await page.keyboard.press('?')
    await page.locator('dialog[open]').waitFor()
    same(await page.evaluate(() => document.getAnimations().length), 0, 'animations')
  })

  check('18 eight tabs are live by one stream', async () => {
    const first = await w.open('/ui/')
    const context = first.context()
    const streams = []
    context.on('request', r => { if (r.url().includes('/api/v1/live')) streams.push(r.url()) })
    const pages = [first]
    for (let i = 0; i < 7; i++) pages.push(await w.open('/ui/events/user-events', { context }))
    for (const p of pages) {
      await w.settled(p)
      await w.live(p)
    }
    await w.act(3, (await w.get('/api/v1/movies?limit=1')).items[0].movie_id)
    for (const p of pages.slice(1)) await p.locator('.news').first().waitFor({ timeout: waitMillis })
    must(streams.length === 0, `${streams.length} more streams`)
  })

  check('17 an event is told of as it comes', async () => {
    const page = await w.open('/ui/events/user-events')
    await w.settled(page)
    await w.live(page)
    const start = Date.now()
    await w.act(4, (await w.get('/api/v1/movies?limit=1')).items[0].movie_id)
    await page.locator('.news').waitFor({ timeout: waitMillis })
    return `after ${Date.now() - start} ms`
  })

  check('17 news are those of the topic, since it was read', async () => {
    const page = await w.open('/ui/')
    await w.settled(page)
    await w.live(page)
    const movie = (await w.get('/api/v1/movies?limit=1')).items[0].movie_id
    const cut = () => page.locator('footer.paper').evaluate(e => e.textContent)
    const told = async change => {
      const before = await cut()
      await change()
      await page.waitForFunction(b => document.querySelector('footer.paper').textContent.split(' · ').at(-1) !== b.split(' · ').at(-1), before, { timeout: waitMillis })
    }
    await told(() => w.act(4, movie))
    await page.getByRole('link', { name: 'Events', exact: true }).first().click()
    await page.getByRole('link', { name: 'user-events' }).first().click()
    await page.locator('[data-row="0"]').waitFor({ timeout: waitMillis })
    await w.settled(page)
    same(await page.locator('.news').count(), 0, 'news of what was just read')
    await told(() => w.mlflow('experiments/create', { name: `of another topic ${Date.now()}` }))
    same(await page.locator('.news').count(), 0, 'news of another topic')
    await told(() => w.act(4, movie))
    await page.locator('.news').waitFor({ timeout: waitMillis })
    same(await page.locator('.news').innerText(), '1 new', 'news')
  })

  check('17 27 what comes is shown, by slow answers and at a moment to come', async () => {
    const context = await w.browser.newContext({ serviceWorkers: 'block' })
    w.contexts.push(context)
    await context.route('**/api/v1/log/topics*', async r => { await new Promise(f => setTimeout(f, 2000)); await r.continue().catch(() => {}) })
    const movie = (await w.get('/api/v1/movies?limit=1')).items[0].movie_id
    for (const known of ['', '?known_at=2099-01-01T00:00:00Z']) {
      const page = await w.open(`/ui/events${known}`, { context })
      const records = page.getByRole('row').filter({ hasText: 'user-events' }).locator('td.num').first()
      const seen = new Set()
      for (let end = Date.now() + waitMillis; seen.size < 3 && Date.now() < end;) {
        await w.act(6, movie)
        await w.pause(page, 200)
        if (await records.count() > 0) seen.add(await records.innerText())
      }
      must(seen.size === 3, `while changes come, of the answers of ${page.url()} are shown: ${JSON.stringify([...seen])}`)
      await page.close()
    }
  })

  check('19 where the log is another, all is asked anew, and live again', async () => {
    const context = await w.browser.newContext({ serviceWorkers: 'block' })
    w.contexts.push(context)
    await context.route('**/api/v1/live*', r => r.fulfill({ contentType: 'text/event-stream', body: 'retry: 1000\nid: mlops-events/0:999999999\n\nevent: readiness\ndata: {"ready":true,"reason":""}\n\n' }), { times: 1 })
    let asked = 0
    context.on('request', r => { if (r.url().includes('/user-events/records')) asked++ })
    const page = await w.open('/ui/events/user-events', { context, expected: ['/api/v1/live', '/api/v1/log/changes'] })
    await page.locator('[data-row="0"]').waitFor({ timeout: waitMillis })
    await w.until('nothing is asked anew', () => asked >= 2)
    await page.waitForFunction(() => /mlops-events\/0:\d{1,8},/.test(document.querySelector('footer.paper').textContent), null, { timeout: waitMillis })
    must(!(await page.locator('.stale').isVisible()), 'it is not live')
    await w.act(7, (await w.get('/api/v1/movies?limit=1')).items[0].movie_id)
    await page.locator('.news').waitFor({ timeout: waitMillis })
  })

  check('19 a server that is killed and comes back: stale, then live, without a gap', async () => {
    const page = await w.open('/ui/events/user-events', { expected: ['/api/v1/', 'ERR_', '503', 'net::'] })
    await w.settled(page)
    await w.live(page)
    w.kill()
    await page.locator('.stale').waitFor({ timeout: waitMillis })
    w.serve()
    await w.until('it does not come back', () => fetch(`${w.base}/readyz`).then(r => r.ok, () => false))
    await w.act(5, (await w.get('/api/v1/movies?limit=1')).items[0].movie_id)
    await page.locator('.stale').waitFor({ state: 'detached', timeout: waitMillis })
    await page.locator('.news').waitFor({ timeout: waitMillis })
    await page.locator('.news').click()
    await w.settled(page)
    await page.waitForFunction(() => !document.querySelector('.news'), null, { timeout: waitMillis })
    const rows = await page.locator('[role=grid] .rows [role=row]').evaluateAll(all => all.map(r => r.innerText))
    same(new Set(rows).size, rows.length, 'rows that are there once')
    w.take()
  })

  check('19 35 what was asked for while the server was away comes when it is back', async () => {
    const page = await w.open('/ui/people', { expected: ['/api/v1/', 'ERR_', '503', 'net::'] })
    await w.settled(page)
    await w.live(page)
    w.kill()
    await page.locator('.stale').waitFor({ timeout: waitMillis })
    for (const name of ['Films', 'Runs']) {
      await page.getByRole('link', { name, exact: true }).first().click()
      await page.locator('main .fault').first().waitFor({ timeout: waitMillis })
    }
    w.serve()
    await page.locator('[data-row="0"]').waitFor({ timeout: waitMillis })
    same(await page.locator('main .fault').count(), 0, 'faults')
    await w.until('it does not come back', () => fetch(`${w.base}/readyz`).then(r => r.ok, () => false))
    w.take()
  })

  check('t takes a moment as times are shown, in the zone of the header', async () => {
    const page = await w.open('/ui/models')
    for (const [zone, text, want] of [['UTC', '2026-11-17 09:00:00', '2026-11-17T09:00:00.000Z'], ['Asia/Seoul', '2026-11-17 09:00', '2026-11-17T00:00:00.000Z'], ['Asia/Seoul', '2026-11-01 08:30:00.250', '2026-10-31T23:30:00.250Z'], ['Asia/Seoul', '2026-11-17 09:00:00.123 +02:00', '2026-11-17T09:00:00.123+02:00'], ['UTC', 'mlops-events/0@20', 'mlops-events/0@20']]) {
      await page.evaluate(zone => localStorage.setItem('zone', zone), zone)
      await page.goto(`${w.base}/ui/models`)
      await w.settled(page)
      await page.keyboard.press('t')
      await page.locator('dialog[open] input').fill(text)
      await page.keyboard.press('Enter')
      await page.waitForFunction(want => new URLSearchParams(location.search).get('known_at') === want, want, { timeout: waitMillis }).catch(() => must(false, `${text} in ${zone} leads to ${page.url()}`))
    }
    await page.evaluate(() => localStorage.clear())
    w.take() // at some of these moments there is nothing
  })

  check('23 24 27 a link with known_at shows what was known, and goes on to, whatever comes', async () => {
    const at = w.position
    const then = await w.get(`/api/v1/models/${w.model}?known_at=${at}`)
    const page = await w.open(`/ui/models/${w.model}?known_at=${at}`)
    await w.settled(page)
    same(await page.locator('main table tbody tr').count(), then.versions.length, 'versions')
    must(await page.locator('.asknown').isVisible(), 'it does not say so')
    const before = await page.locator('main').innerText()
    for (let i = 0; i < 20; i++) await w.act(i, (await w.get('/api/v1/movies?limit=1')).items[0].movie_id)
    await w.caught()
    await page.reload()
    await w.settled(page)
    same(await page.locator('main').innerText(), before, 'what is shown')
    await page.goto(`${w.base}/ui/models/${w.model}/${w.version}?known_at=${at}`)
    await w.settled(page)
    must(await page.locator('[data-focus=deploy]').isDisabled(), 'the past can be changed')
    await page.goto(`${w.base}/ui/models/${w.model}?known_at=mlops-events/0@0`)
    await page.locator('.fault').waitFor({ timeout: waitMillis })
    must(!(await page.locator('main').innerText()).includes('Versions'), 'now is shown for then')
    w.take() // that it was not there is a 404
  })

  check('24 dragging on the bar asks for moments, and the ends lead to now', async () => {
    const page = await w.open('/ui/models')
    await w.settled(page)
    const box = await page.locator('[role=slider]').boundingBox()
    await page.mouse.move(box.x + box.width * 0.9, box.y + 10)
    await page.mouse.down()
    for (let i = 9; i > 4; i--) await page.mouse.move(box.x + (box.width * i) / 10, box.y + 10)
    await page.mouse.up()
    await page.waitForFunction(() => location.search.includes('known_at'), null, { timeout: waitMillis })
    await page.locator('.asknown').waitFor()
    await page.keyboard.press('n')
    await page.waitForFunction(() => !location.search.includes('known_at'), null, { timeout: waitMillis })
    await page.keyboard.press('[')
    await page.waitForURL(/known_at=mlops-events\/0@\d+/, { timeout: waitMillis })
    await page.keyboard.press('{')
    await w.settled(page)
    w.take()
  })

  check('35 an error, a slow answer and no network have their states', async () => {
    const page = await w.open('/ui/', { expected: ['/api/v1/models', 'ERR_', '503'] })
    await page.route('**/api/v1/models?*', r => r.fulfill({ status: 503, contentType: 'application/problem+json', headers: { 'X-Request-ID': 'abc' }, body: JSON.stringify({ title: 'Not now', detail: 'the view rebuilds', hint: 'wait', status: 503 }) }))
    await page.getByRole('link', { name: 'Models' }).first().click()
    await page.locator('.fault').filter({ hasText: 'the view rebuilds' }).filter({ hasText: 'abc' }).waitFor({ timeout: waitMillis })
    await page.unroute('**/api/v1/models?*')
    await page.route('**/api/v1/models?*', async r => { await new Promise(f => setTimeout(f, 2000)); await r.continue() })
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('cell', { name: w.model }).first().waitFor({ timeout: waitMillis })
    await page.unroute('**/api/v1/models?*')
    await page.context().setOffline(true)
    await page.getByRole('link', { name: 'Workflows' }).first().click()
    await page.getByText('The server cannot be reached').first().waitFor({ timeout: waitMillis })
    await page.context().setOffline(false)
    w.take()
  })

  check('35 an answer that does not come is told of, given up, and asked for again', async () => {
    const page = await w.open('/ui/', { expected: ['/api/v1/models', 'ERR_', '504'] })
    await w.settled(page)
    await page.route('**/api/v1/models?*', () => {})
    await page.clock.install()
    await page.getByRole('link', { name: 'Models' }).first().click()
    const main = page.locator('main')
    await main.locator('.skeleton').first().waitFor({ state: 'attached', timeout: waitMillis })
    await page.clock.fastForward(11_000)
    await main.getByText('takes longer than usual').first().waitFor({ timeout: waitMillis })
    await page.clock.fastForward(120_000)
    await main.locator('.fault').filter({ hasText: 'No answer after 120 seconds' }).waitFor({ timeout: waitMillis })
    await page.unroute('**/api/v1/models?*')
    await main.getByRole('button', { name: 'Try again' }).click()
    await main.getByRole('cell', { name: w.model }).first().waitFor({ timeout: waitMillis })
    w.take()
  })

  check('27 35 without network now is not shown for then', async () => {
    const page = await w.open('/ui/models', { expected: ['/api/v1/', 'ERR_'] })
    await page.getByRole('cell', { name: w.model }).first().waitFor({ timeout: waitMillis })
    await w.settled(page)
    await page.context().setOffline(true)
    await page.evaluate(() => { // as a link does, or back
      history.pushState(null, '', '/ui/models?known_at=mlops-events/0@0')
      dispatchEvent(new PopStateEvent('popstate'))
    })
    await page.locator('main').getByText('The server cannot be reached').first().waitFor({ timeout: waitMillis })
    must(!(await page.locator('main').innerText()).includes(w.model), 'the models of now are shown for then')
    await page.context().setOffline(false)
    w.take()
  })

  check('35 36 without a session nothing is shown; with one, an empty log says so; after it, nothing again', async () => {
    const page = await w.open('/ui/', { base: w.locked, bare: true, expected: ['401'] })
    await page.locator('input[name=secret]').waitFor({ timeout: waitMillis })
    await page.locator('input[name=secret]').fill('wrong')
    await page.getByRole('button', { name: 'Begin' }).click()
    await page.getByRole('alert').filter({ hasText: 'neither' }).waitFor({ timeout: waitMillis })
    await page.locator('input[name=secret]').fill('sesame')
    await page.getByRole('button', { name: 'Begin' }).click()
    await page.getByRole('heading', { name: 'Overview' }).waitFor({ timeout: waitMillis })
    await w.settled(page)
    for (const [name, at] of [['models', '/ui/models'], ['runs', '/ui/runs']]) {
      await page.goto(w.locked + at)
      await page.locator('.empty').first().waitFor({ timeout: waitMillis }).catch(() => must(false, `${name} does not say that it is empty`))
    }
    await page.goto(`${w.locked}/ui/`)
    await w.settled(page)
    await page.getByRole('button', { name: 'Settings' }).click()
    await page.getByRole('button', { name: 'End the session' }).click()
    await page.locator('input[name=secret]').waitFor({ timeout: waitMillis })
    same((await page.request.get(`${w.locked}/api/v1/models`)).status(), 401, 'the status after the session')
    w.take() // 401 and 503 are what an empty server that wants a token says
  })

  check('37 in Korean every page is whole', async () => {
    for (const [name, at] of Object.entries(w.pages)) {
      const page = await w.open(at, { locale: 'ko-KR', width: 390 })
      await w.settled(page)
      same(await page.evaluate(() => document.documentElement.lang), 'ko', name)
      must(/[가-힣]/.test(await page.locator('main').innerText()), `${name} has no Korean`)
      must(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} scrolls sideways`)
      await w.closeAll()
    }
  })

  check('38 on paper there is the moment', async () => {
    const page = await w.open(`/ui/models/${w.model}?known_at=${w.position}`)
    await w.settled(page)
    await page.emulateMedia({ media: 'print' })
    must((await page.locator('footer.paper').innerText()).includes(`known_at=${w.position}`), 'the footer has no moment')
    must(!(await page.locator('#nav').isVisible()), 'the navigation is on paper')
  })

  check('find leads to a run, a model, an event and a fact', async () => {
    const page = await w.open('/ui/')
    await w.settled(page)
    for (const [text, url] of [['outlier', /\/ui\/runs\/[0-9a-f]{32}/], [w.model, /\/ui\/models\//], [w.position, /\/ui\/events\//], ['user-events/0@0', /\/ui\/events\/user-events\/0@0/]]) {
      await page.keyboard.press('Control+k')
      await page.getByRole('combobox').fill(text)
      await page.getByRole('option').first().waitFor({ timeout: waitMillis })
      await page.keyboard.press('Enter')
      await page.waitForURL(url, { timeout: waitMillis })
    }
    await page.locator('article.record').filter({ hasText: 'user-events/0@0' }).waitFor({ timeout: waitMillis })
    w.take() // that no event of the ledger led to the fact is a 404
  })

  check('17 what is recorded between an answer and the opening of the stream is told of', async () => {
    await w.idle()
    const { movie_id } = (await w.get('/api/v1/movies?limit=1')).items[0]
    const name = `before the stream ${Date.now()}`
    for (const [at, shown, act, seen] of [
      ['/ui/models', async page => { await page.locator('main table tbody tr').first().waitFor({ timeout: waitMillis }) }, () => w.mlflow('registered-models/create', { name }), page => page.locator('main').getByText(name).first().waitFor({ timeout: waitMillis })],
      ['/ui/events/user-events', page => page.locator('[data-row="0"]').waitFor({ timeout: waitMillis }), () => w.act(8, movie_id), async page => {
        await page.locator('.news').waitFor({ timeout: waitMillis })
        same(await page.locator('.news').innerText(), '1 new', 'news')
      }],
      [`/ui/models/${encodeURIComponent(`${name} later`)}`, page => page.locator('.fault').waitFor({ timeout: waitMillis }), () => w.mlflow('registered-models/create', { name: `${name} later` }), page => page.locator('.fault').waitFor({ state: 'detached', timeout: waitMillis })],
    ]) {
      const context = await w.browser.newContext({ serviceWorkers: 'block' })
      w.contexts.push(context)
      let open = () => {}
      const held = new Promise(f => { open = f })
      await context.route('**/api/v1/live', async r => { await held; await r.continue().catch(() => {}) })
      const page = await w.open(at, { context, expected: ['404'], bare: true })
      await shown(page)
      await w.settled(page)
      await act()
      const made = page.waitForRequest(r => r.url().includes('/api/v1/log/changes'), { timeout: waitMillis })
      open()
      await made
      await seen(page)
      await w.closeAll()
    }
    // Where nothing came, nothing is asked for twice.
    const context = await w.browser.newContext({ serviceWorkers: 'block' })
    w.contexts.push(context)
    const asked = []
    context.on('request', r => asked.push(new URL(r.url())))
    const page = await w.open('/ui/models', { context })
    await page.waitForFunction(() => /mlops-events\/0:\d/.test(document.querySelector('footer.paper').textContent), null, { timeout: waitMillis })
    await w.unasked(page, u => u.pathname.startsWith('/api/v1/') && u.pathname !== '/api/v1/live')
    const reads = asked.filter(u => u.pathname.startsWith('/api/v1/')).map(u => u.pathname + u.search)
    same(reads.filter((r, i) => reads.indexOf(r) !== i), [], 'asked for twice')
    must(!reads.some(r => r.startsWith('/api/v1/log/changes')), 'made up for what was not missed')
  })

  check('5 at 390 px no word, id or number is broken inside, in both languages', async () => {
    // A word of up to 24 letters or figures that begins on a line and ends on another is broken. Behind what parts the words of a name there may be a new line.
    const broken = page => page.evaluate(() => {
      const found = []
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
      for (let n = walk.nextNode(); n; n = walk.nextNode()) {
        const e = n.parentElement
        if (!e || !e.checkVisibility() || e.closest('svg, pre, .hidden, .skip')) continue
        for (const m of n.data.matchAll(/[\p{L}\p{N}]+(?:\.\p{N}+)*/gu)) {
          if (m[0].length > 24) continue
          const r = document.createRange()
          r.setStart(n, m.index)
          r.setEnd(n, m.index + m[0].length)
          const tops = [...r.getClientRects()].filter(b => b.width > 0.5).map(b => Math.round(b.top))
          if (new Set(tops).size > 1) found.push(`${m[0]} in ${e.closest('[class]')?.className}`)
        }
      }
      for (const e of document.querySelectorAll('time')) if (e.checkVisibility() && e.getClientRects().length > 1) found.push(`the time ${e.textContent}`)
      return [...new Set(found)]
    })
    const all = []
    for (const locale of ['en-US', 'ko-KR']) {
      for (const [name, at] of Object.entries(w.pages)) {
        const page = await w.open(at, { width: 390, locale })
        await w.settled(page)
        all.push(...(await broken(page)).map(f => `${locale} ${name}: ${f}`))
        await w.closeAll()
      }
    }
    same(all, [], 'broken')
  })
}
