/** The window with a stand-in for its shell: `npm run harness`, then `/harness.html?story=full`. Never built. */
import { mount } from 'svelte';
import App from '../App.svelte';
import '../app.css';
import { storyOf } from './story';

const backend = storyOf(new URLSearchParams(location.search).get('story') ?? 'full').install();
Object.assign(window, { backend });
const target = document.getElementById('app');
if (target) mount(App, { target });
