package ship

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// ArtifactSuffix is appended to the tag under which the artifact is pushed
// beside the image, since a tag names one of the two.
const ArtifactSuffix = "-oci"

// Pushed is an image as a registry knows it.
type Pushed struct {
	// Reference is the tag, Digest the manifest's.
	Reference, Digest string
}

// Push uploads the image under the given reference and the artifact beside it,
// with the credentials that docker login and its like left behind. reference has
// a tag or none; without one it gets the source's version.
func Push(ctx context.Context, reference string, image, artifact v1.Image, source Source) ([]Pushed, error) {
	base, err := name.ParseReference(reference, name.WithDefaultTag(source.Version))
	if err != nil {
		return nil, fmt.Errorf("%w; write it as REGISTRY/NAME or REGISTRY/NAME:TAG", err)
	}
	tag, ok := base.(name.Tag)
	if !ok {
		return nil, fmt.Errorf("%s names a digest, which only the upload gives; write a tag, or none", reference)
	}
	var pushed []Pushed
	for _, part := range []struct {
		tag   name.Tag
		image v1.Image
	}{{tag, image}, {tag.Context().Tag(tag.TagStr() + ArtifactSuffix), artifact}} {
		if err := remote.Write(part.tag, part.image, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
			var refused *transport.Error
			if errors.As(err, &refused) && (refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden) {
				err = fmt.Errorf("%w; log in with docker login %s, as somebody who may push there", err, part.tag.RegistryStr())
			}
			return pushed, fmt.Errorf("pushing %s: %w", part.tag.Name(), err)
		}
		digest, err := part.image.Digest()
		if err != nil {
			return pushed, err
		}
		pushed = append(pushed, Pushed{part.tag.Name(), digest.String()})
	}
	return pushed, nil
}
