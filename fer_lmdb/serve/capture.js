// The picture's way into the page: chosen, dropped, pasted, from the camera, or the example.
// It is sent once, as text of the event; the server keeps nothing, so the browser shows its own copy.
const LARGEST_SIDE = 2048;
const SENT_AS_IT_IS = 3e6;
const KINDS = ['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/bmp', 'image/avif'];
const find = (name) => element.querySelector(`[data-part="${name}"]`);
let stream = null;

function say(text) { find('status').textContent = text; }

function asText(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

async function shrink(blob) {
  // Large photographs are reduced here: quicker to send, and faces stay large enough.
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, LARGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && blob.size <= SENT_AS_IT_IS && KINDS.includes(blob.type)) { bitmap.close(); return blob; }
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext('2d');
  context.fillStyle = 'white';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.92));
}

async function take(blob) {
  if (!blob) return;
  say('');
  let picture = blob;
  try { picture = await shrink(blob); } catch { /* the browser cannot read it; the server says what it is */ }
  if (picture.size > Number(find('drop').dataset.bytes)) { say('This file is too large.'); return; }
  if (window.ferPicture) URL.revokeObjectURL(window.ferPicture);
  window.ferPicture = URL.createObjectURL(picture);
  trigger('recognise', { picture: await asText(picture) });
}

function closeCamera() {
  if (stream) stream.getTracks().forEach((track) => track.stop());
  stream = null;
  find('camera').hidden = true;
  find('start').hidden = false;
}

async function openCamera() {
  if (!navigator.mediaDevices) { find('snapshot').click(); return; }  // no https: let a phone's camera program do it
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'user' }, audio: false });
  } catch (error) {
    say(error.name === 'NotAllowedError' ? 'The browser does not allow the camera.' : 'No camera was found.');
    return;
  }
  say('');
  find('video').srcObject = stream;
  find('camera').hidden = false;
  find('start').hidden = true;
}

async function snapshot() {
  const video = find('video');
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d').drawImage(video, 0, 0);
  closeCamera();
  take(await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.92)));
}

async function example() {
  const answer = await fetch('example.png');
  if (answer.ok) take(await answer.blob()); else say('The example cannot be loaded.');
}

const actions = {
  choose: () => find('file').click(), camera: openCamera, shoot: snapshot, cancel: closeCamera, example,
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (button) actions[button.dataset.do]();
});
element.addEventListener('change', (event) => {
  if (event.target.type === 'file') { take(event.target.files[0]); event.target.value = ''; }
});
for (const name of ['dragover', 'dragleave', 'drop']) {
  element.addEventListener(name, (event) => {
    event.preventDefault();
    find('drop').classList.toggle('fer-over', name === 'dragover');
    if (name === 'drop') take([...event.dataTransfer.files].find((file) => file.type.startsWith('image/')) ?? event.dataTransfer.files[0]);
  });
}
document.addEventListener('paste', (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith('image/'));
  if (file) { event.preventDefault(); take(file); }
});
