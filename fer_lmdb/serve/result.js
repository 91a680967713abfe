// The answer arrives without the picture: the browser's own copy is put in its place.
watch('value', () => {
  const picture = element.querySelector('img[data-picture]');
  if (picture && window.ferPicture) picture.src = window.ferPicture;
  if (window.innerWidth < 900) element.scrollIntoView({ behavior: 'smooth', block: 'start' });
});
