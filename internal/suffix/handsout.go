package suffix

import "strings"

// handsOut are names below which unlisted origins have names of their own though the list
// lacks them: whoever owns the name has to ask for an entry, and the list refuses
// names that stand for an address. It is short on purpose: the ones that policies
// are written with. What its owner brings into the list is taken out here, as a test
// says. Read in November 2026, at each line's source.
var handsOut = [...]string{
	// Any address, and so any machine: github.com/publicsuffix/list/pull/1070 and
	// /pull/2206, both refused for that.
	"nip.io",
	"sslip.io",
	// Tunnels and rented machines that serve what their user runs:
	// github.com/localtunnel/localtunnel, README, --subdomain;
	// docs.github.com/codespaces, "Forwarding ports in your codespace".
	"loca.lt",
	"app.github.dev",
	// Help desks, named at sign-up, with pages of their owner's making:
	// support.zendesk.com, article 4408838571930;
	// support.freshdesk.com, article 50000004704.
	"zendesk.com",
	"freshdesk.com",
	// Documentation and blogs: fingerprints.json of
	// github.com/EdOverflow/can-i-take-over-xyz at 5bd4e128.
	"ghost.io",
	"helpscoutdocs.com",
	"readme.io",
	"wordpress.com",
	// One name for each customer:
	// support.atlassian.com/organization-administration/docs/update-a-product-url;
	// auth0.com/docs/get-started/auth0-overview/create-tenants;
	// help.salesforce.com, "My Domain" (domain_name_overview);
	// learn.microsoft.com/sharepoint/change-your-sharepoint-domain-name;
	// developer.servicenow.com, an instance of one's own for anyone who asks.
	"atlassian.net",
	"auth0.com",
	"my.salesforce.com",
	"my.site.com",
	"sharepoint.com",
	"service-now.com",
}

// HandsOut returns the name which hands out the names below host to more than one
// owner, host itself or one below it, such as my.site.com for site.com: a wildcard
// below host takes unlisted origins in, and the list does not say so. It returns false where
// the list does, which is asked by Within, and where nothing of the kind is known.
func HandsOut(host string) (domain string, ok bool) {
	if _, listed := Within(host); listed {
		return "", false
	}
	for _, name := range handsOut {
		if above, found := strings.CutSuffix(name, host); found && (above == "" || above[len(above)-1] == '.') {
			return name, true
		}
	}
	return "", false
}
