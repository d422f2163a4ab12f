import { render } from 'preact';
import { App, AppProvider } from './app.js';
import { Dashboard } from './dashboard.js';

const place = document.getElementById('app');
if (place === null) throw new Error('There is no element with the id "app".');
// This file is assets/app.js below the module's path, whatever a proxy has put before it.
const app = new App(
  new URL('..', import.meta.url),
  place.dataset['signIn'] === 'token' ? 'token' : 'browser',
);
app.start();
render(
  <AppProvider value={app}>
    <Dashboard />
  </AppProvider>,
  place,
);
